package egress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/egress/search"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// resolve decides about a create that may have happened: it searches for the created object. If there is none, the create is made
// again.
func (w *Worker) resolve(ctx context.Context, j *job) finding {
	a := j.answer
	j.progress.SetState(status.Searching)
	if !j.op.Searchable() {
		return w.decideUnsearchable(j, a, "factro has no list to search for it")
	}
	var seen map[string]bool
	for searches := 1; ; searches++ {
		found, err := w.findCreated(ctx, j)
		unsure := searches < maxAttempts && found.Confirm(&seen, j.interrupted()) // others cannot be in the way for ever
		if err == nil {
			err = w.others(j).Drop(ctx, &found)
		}
		switch {
		case errors.Is(err, search.ErrStopped) || persist.Finishing(ctx).Err() != nil:
			return j.stop(fmt.Errorf("stopped before the outcome of the call was known: %w", search.ErrStopped))
		case err != nil:
			return w.decideUnsearchable(j, a, "the search for it failed: "+err.Error())
		}
		for _, item := range found.Equal {
			mine, err := w.claim(persist.Finishing(ctx), j, item.ID)
			if err != nil {
				return j.fail(err)
			}
			if mine {
				return w.adopt(ctx, j, found.Status, item)
			}
		}
		if len(found.Doubts) > 0 || found.More {
			return w.decideAmbiguous(j, a, found.Doubt())
		}
		wait := w.waitBeforeNext(j, a, searches)
		if unsure {
			wait = max(wait, searchPause)
		}
		if wait > 0 {
			if j.interrupted() && wait > searchPause {
				// All places may be taken by such commands after a takeover. This one waits outside, so that others are carried out.
				j.verdict = commands.RetryAfter(errors.New("the call of the bridge before may still be running"), wait)
				return stopped
			}
			if coreapi.Sleep(ctx, wait) != nil {
				return j.stop(search.ErrStopped)
			}
			continue
		}
		if a.Empty() { // factro reported success, so the object may only be late in the list
			return w.decideAmbiguous(j, a, "it was not found, "+plural.Of(searches, "time"))
		}
		if j.attempts >= maxAttempts {
			return j.conclude(events.Dead, a, exhausted(fmt.Sprintf("factro failed on this command %s, and made nothing: %s", plural.Of(j.attempts, "time"), a.Text()), a))
		}
		return j.remake()
	}
}

// decideUnsearchable decides about a create whose object cannot be searched for. factro may answer a create with an empty body. A
// 201 or 204 without a body still means success, since only the API answers like that. An empty 200 means little.
func (w *Worker) decideUnsearchable(j *job, a coreapi.Answer, why string) finding {
	if a.SaysMade() {
		return j.conclude(events.Applied, a, nil)
	}
	return w.decideAmbiguous(j, a, why)
}

// waitBeforeNext returns how long to wait before the next search, or 0 if no further search is needed. An object that was not
// found may still appear while the call can be running, and factro's lists may lag. It is not known whether factro stops
// processing a call that the client gave up, so a call that timed out gets its timeout twice.
func (w *Worker) waitBeforeNext(j *job, a coreapi.Answer, searches int) time.Duration {
	var wait time.Duration // 0 for a call of this delivery that has ended
	switch {
	case j.interrupted():
		wait = time.Until(j.record.CalledAt.Add(w.api.Timeout() + searchPause))
	case a.Silent(), a.Status == http.StatusGatewayTimeout:
		wait = time.Until(j.record.CalledAt.Add(2*w.api.Timeout() + searchPause))
	}
	least := minSearches
	if a.Empty() {
		least = minSearchesAfterEmpty
	}
	if searches < least {
		wait = max(wait, searchPause)
	}
	return wait
}

// decideAmbiguous ends a create that may or may not have happened, unless an operator has decided to make it again.
func (w *Worker) decideAmbiguous(j *job, a coreapi.Answer, why string) finding {
	if j.cmd.Redrive != "" && !j.record.Decided {
		j.record.Decided = true
		return j.remake()
	}
	message := ambiguousText(a) + "; " + why + "."
	if j.op.Search != nil {
		message += " " + j.op.Search.Check
	}
	return j.conclude(events.Dead, a, &events.Error{Code: events.CodeAmbiguous, Message: message, Answer: a.Quoted()})
}

// adopt ends a create with the object that was found.
func (w *Worker) adopt(ctx context.Context, j *job, status int, item compare.Item) finding {
	w.log.InfoContext(ctx, "found the object of a create whose answer was lost", "cloud", w.cloud, "operation", j.op.Name,
		"event_id", j.cmd.Event.ID())
	j.conclusion.adopted = true
	return j.conclude(events.Applied, coreapi.Answer{Status: status, Body: item.JSON}, nil)
}

func (w *Worker) claim(ctx context.Context, j *job, id string) (mine bool, err error) {
	err = persist.UntilStopped(ctx, func(ctx context.Context) error {
		var err error
		mine, err = w.ledger.Claim(ctx, w.cloud, j.op.Resource, id, j.ledgerID)
		return err
	})
	return mine, err
}

// remake says that the create did not happen and is made again. From now on the expirytime does not count.
func (j *job) remake() finding {
	j.ownership = inherited
	return goOn
}
