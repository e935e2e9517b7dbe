package egress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// resolve decides about a create that may have happened, by looking for what it has made. If nothing is there the create
// goes on, to be made again.
func (w *Worker) resolve(ctx context.Context, j *job) finding {
	a := j.answer
	w.hand.is(status.Searching)
	if !j.op.Searchable() {
		return w.unseen(j, a, "factro offers no way to look for it")
	}
	for looks := 1; ; looks++ {
		seen, err := w.look(ctx, j)
		switch {
		case errors.Is(err, errStopped) || finishing(ctx).Err() != nil:
			return j.stop(fmt.Errorf("stopped before it was known what became of the call: %w", errStopped))
		case err != nil:
			return w.unseen(j, a, "it could not be looked for: "+err.Error())
		}
		for _, item := range seen.equal {
			mine, err := w.claim(finishing(ctx), j, item.ID)
			if err != nil {
				return j.fail(err)
			}
			if mine {
				return w.adopt(ctx, j, seen.status, item)
			}
		}
		if len(seen.doubts) > 0 || seen.more {
			return w.undecided(j, a, seen.doubt())
		}
		if wait := w.unsettled(j, a, looks); wait > 0 {
			if coreapi.Sleep(ctx, wait) != nil {
				return j.stop(errStopped)
			}
			continue
		}
		if a.Empty() { // factro said that it is made; what is not listed may only be late
			return w.undecided(j, a, "it was not found, "+plural.Of(looks, "time"))
		}
		if j.attempts >= maxAttempts {
			return j.conclude(events.Dead, a, exhausted(fmt.Sprintf("factro failed on this command %s, and made nothing: %s", plural.Of(j.attempts, "time"), a.Text()), a))
		}
		return j.remake()
	}
}

// unseen decides about a create that cannot be looked for. That an answer to a create may be empty is known, and 201 and
// 204 without a body say that it happened: nothing but the API answers so. An empty 200 says little.
func (w *Worker) unseen(j *job, a coreapi.Answer, why string) finding {
	if a.SaysMade() {
		return j.conclude(events.Applied, a, nil)
	}
	return w.undecided(j, a, why)
}

// unsettled says how long to wait before what was not found is not there: until the call cannot be under way any more, and
// until a second look, since factro's lists may lag. Whether factro stops to work on a call that was given up is not
// known; so one that timed out is given its time once more.
func (w *Worker) unsettled(j *job, a coreapi.Answer, looks int) time.Duration {
	var wait time.Duration // it was our own call, and it is over
	switch {
	case j.interrupted():
		wait = time.Until(j.record.CalledAt.Add(w.api.Timeout() + lookPause))
	case a.Silent(), a.Status == http.StatusGatewayTimeout:
		wait = time.Until(j.record.CalledAt.Add(2*w.api.Timeout() + lookPause))
	}
	least := minLooks
	if a.Empty() {
		least = patientLooks
	}
	if looks < least {
		wait = max(wait, lookPause)
	}
	return wait
}

// undecided ends a create that may or may not have happened, unless an operator has decided that it must be
// made.
func (w *Worker) undecided(j *job, a coreapi.Answer, why string) finding {
	if j.cmd.Redrive != "" && !j.record.Decided {
		j.record.Decided = true
		return j.remake()
	}
	message := ambiguous(a) + "; " + why + "."
	if j.op.Search != nil {
		message += " " + j.op.Search.Check
	}
	return j.conclude(events.Dead, a, &events.Error{Code: events.CodeAmbiguous, Message: message, Answer: a.Quoted()})
}

// adopt ends a create with what was found of it.
func (w *Worker) adopt(ctx context.Context, j *job, status int, item compare.Item) finding {
	w.log.InfoContext(ctx, "what a create without an answer has made was found", "cloud", w.cloud, "operation", j.op.Name,
		"event_id", j.cmd.Event.ID())
	j.conclusion.adopted = true
	return j.conclude(events.Applied, coreapi.Answer{Status: status, Body: item.JSON}, nil)
}

func (w *Worker) claim(ctx context.Context, j *job, id string) (mine bool, err error) {
	err = insist(ctx, func(ctx context.Context) error {
		var err error
		mine, err = w.ledger.Claim(ctx, w.cloud, j.op.Resource, id, j.ledgerID)
		return err
	})
	return mine, err
}

// remake notes that the create did not happen and is to be made again. It is carried on with, whatever its expirytime says.
func (j *job) remake() finding {
	j.hold = inherited
	return goOn
}
