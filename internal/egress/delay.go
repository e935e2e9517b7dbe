package egress

import (
	"context"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/egress/delay"
)

// delay stores a command until its notbefore. It comes again as the same command, from then on like any other. A command with the same
// source and id that is delayed already stays as it is.
func (w *Worker) delay(ctx context.Context, j *job) finding {
	ctx = finishing(ctx)
	known, have, err := w.findRecord(ctx, j)
	if err != nil {
		return j.fail(err)
	}
	if known {
		if e := w.decideByRecord(j, have); e != goOn {
			return e
		}
		if have.MayHaveCalled() || have.HasFired(time.Now()) {
			return j.due() // this command was begun, or was delayed and is due by now: what follows goes by the record
		}
	}
	until, now, err := w.delays.Keep(ctx, j.cmd, j.ledgerID, j.record.Fingerprint, j.notBefore, known)
	if reason := delay.Reason(err); reason != nil {
		return j.reject(reason)
	}
	if err != nil {
		return j.fail(err)
	}
	crashpoint("after-delay")
	if now != nil { // it was cancelled in between, or another bridge has delayed it as well
		if e := w.decideByRecord(j, *now); e != goOn {
			return e
		}
	}
	w.publishWaiting(ctx, j, until, delay.Waits(until))
	return kept
}

// due leads a command that does not wait any longer to its next state.
func (j *job) due() finding {
	if j.hasKeys() {
		return keyed
	}
	return goOn
}
