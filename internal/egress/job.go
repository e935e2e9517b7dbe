package egress

import (
	"context"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// job is one command on its way through the states.
type job struct {
	cmd       events.Command
	mistake   error // why the message could not be read as a command
	op        factro.Operation
	call      translate.Call
	startedAt time.Time
	expiry    time.Time // zero if it has none
	dryRun    bool

	ledgerID string // by which the ledger knows the command
	record   ledger.Record
	hold     hold
	attempts int // calls of all deliveries that count
	calls    int // calls of this delivery
	misses   int // how often its file could not be read

	file       *coreapi.File  // of the call that comes next
	unread     error          // why there is none
	answer     coreapi.Answer // of the last call, or of what was found instead
	conclusion conclusion     // set by conclude
	result     events.Result  // set by remember, or made of the conclusion
	verdict    error          // for the bus, once the command is settled
}

// hold says whose the ledger's record of a command is, and whether a call may have been made for it before this delivery.
type hold int

const (
	unasked   hold = iota // the ledger has not been asked
	foreign               // an earlier delivery may have made a call, and the record is still its own
	fresh                 // ours, and nothing was called before
	inherited             // ours, and an earlier delivery may have made a call, or it is known that its create has to be made again
)

// begun says whether the record is in the ledger, and ours.
func (j *job) begun() bool { return j.hold == fresh || j.hold == inherited }

// take makes a record ours.
func (j *job) take(r ledger.Record, called bool) {
	j.record, j.attempts = r, r.Attempts
	if called || j.hold == foreign {
		j.hold = inherited
		return
	}
	j.hold = fresh
}

// mayExpire says whether nothing can have been called yet, so that an expirytime still counts.
func (j *job) mayExpire() bool { return j.attempts == 0 && (j.hold == unasked || j.hold == fresh) }

// interrupted says whether the last call was made by an earlier delivery, which may still be at it.
func (j *job) interrupted() bool { return j.calls == 0 }

// conclusion is what became of a command.
type conclusion struct {
	outcome events.Outcome
	reason  *events.Error // nil if it was applied
	adopted bool          // what it made was found, not answered
}

// conclude notes what became of the command.
func (j *job) conclude(outcome events.Outcome, a coreapi.Answer, reason *events.Error) finding {
	j.answer, j.conclusion = a, conclusion{outcome: outcome, reason: reason, adopted: j.conclusion.adopted}
	return concluded
}

// reject concludes a command for which nothing was called.
func (j *job) reject(reason *events.Error) finding {
	return j.conclude(events.Rejected, coreapi.Answer{}, reason)
}

// remember keeps the result that will be published.
func (j *job) remember(r events.Result) finding {
	j.result = r
	return remembered
}

// fail hands the command back to the bus, which decides when it is delivered again.
func (j *job) fail(err error) finding {
	j.verdict = err
	return broken
}

// stop hands the command back at once, since the bridge stops.
func (j *job) stop(err error) finding {
	j.verdict = commands.RetryAfter(err, 0)
	return stopped
}

// actions are the work of the states: what file does it is in docs/commands.md.
var actions = map[state]func(*Worker, context.Context, *job) finding{
	planning:   (*Worker).read,
	rehearsing: (*Worker).rehearse,
	recalling:  (*Worker).recall,
	waiting:    (*Worker).await,
	entering:   (*Worker).enter,
	opening:    (*Worker).open,
	missing:    (*Worker).awaitFile,
	calling:    (*Worker).try,
	looking:    (*Worker).resolve,
	pausing:    (*Worker).pause,
	concluding: (*Worker).end,
	telling:    (*Worker).tell,
}

// Handle carries out a command and publishes what became of it. See bus.Worker for the arguments and the verdict.
func (w *Worker) Handle(delivery, stopping context.Context, cmd events.Command, mistake error) error {
	ctx := working{stopping, delivery}
	cmd.Cloud = w.cloud // a subject that is no command's does not tell it
	j := &job{cmd: cmd, mistake: mistake, ledgerID: cmd.Identity(), startedAt: time.Now()}
	w.hand.take(j.startedAt)
	defer w.hand.drop()
	for at := planning; at != settled; {
		e := actions[at](w, ctx, j) //nolint:contextcheck // ctx has both contexts in it
		next, known := transitions[at][e]
		if !known { // a test makes sure that there is none
			return fmt.Errorf("a command that was %s has no way on by %q", at, e)
		}
		at = next
	}
	return j.verdict
}
