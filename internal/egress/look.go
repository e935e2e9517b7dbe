package egress

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// resolve decides about a create that may have happened, by looking for what it has made. If nothing is there the create
// is to be repeated: over then is false.
func (w *Worker) resolve(ctx, stopping context.Context, j *job, a coreapi.Answer) (over bool, verdict error) {
	w.hand.is(events.HandLooking)
	if !j.op.Searchable() {
		return w.unseen(ctx, j, a, "factro offers no way to look for it")
	}
	for looks := 1; ; looks++ {
		seen, err := w.look(ctx, stopping, j)
		switch {
		case errors.Is(err, errStopped) || ctx.Err() != nil:
			return true, commands.RetryAfter(fmt.Errorf("stopped before it was known what became of the call: %w", err), 0)
		case err != nil:
			return w.unseen(ctx, j, a, "it could not be looked for: "+err.Error())
		}
		for _, item := range seen.equal {
			mine, err := w.claim(ctx, j, item.ID)
			if err != nil {
				return true, err
			}
			if mine {
				return true, w.adopt(ctx, j, seen.status, item)
			}
		}
		if len(seen.doubts) > 0 || seen.more {
			return w.undecided(ctx, j, a, seen.doubt())
		}
		if wait := w.settled(j, a, looks); wait > 0 {
			if coreapi.Sleep(stopping, wait) != nil {
				return true, commands.RetryAfter(errStopped, 0)
			}
			continue
		}
		if a.Empty() { // factro said that it is made; what is not listed may only be late
			return w.undecided(ctx, j, a, "it was not found, "+plural.Of(looks, "time"))
		}
		if j.attempts >= maxAttempts {
			return true, w.end(ctx, j, events.Dead, a, &events.Error{
				Code:    events.CodeExhausted,
				Message: fmt.Sprintf("factro failed on this command %s, and made nothing: %s", plural.Of(j.attempts, "time"), a.Text()), Answer: a.Quoted(),
			})
		}
		j.again = true
		return false, nil
	}
}

// unseen decides about a create that cannot be looked for. That an answer to a create may be empty is known, and 201 and
// 204 without a body say that it happened: nothing but the API answers so. An empty 200 says little.
func (w *Worker) unseen(ctx context.Context, j *job, a coreapi.Answer, why string) (over bool, verdict error) {
	if a.SaysMade() {
		return true, w.end(ctx, j, events.Applied, a, nil)
	}
	return w.undecided(ctx, j, a, why)
}

// settled says how long to wait before what was not found is not there: until the call cannot be under way any more, and
// until a second look, since factro's lists may lag. Whether factro stops to work on a call that was given up is not
// known; so one that timed out is given its time once more.
func (w *Worker) settled(j *job, a coreapi.Answer, looks int) time.Duration {
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

// undecided ends a create of which nobody can tell whether it happened, unless an operator has decided that it is to be
// made.
func (w *Worker) undecided(ctx context.Context, j *job, a coreapi.Answer, why string) (over bool, verdict error) {
	if j.cmd.Redrive != "" && !j.record.Decided {
		j.record.Decided, j.again = true, true
		return false, nil
	}
	message := ambiguous(a) + "; " + why + "."
	if j.op.Search != nil {
		message += " " + j.op.Search.Check
	}
	return true, w.end(ctx, j, events.Dead, a, &events.Error{Code: events.CodeAmbiguous, Message: message, Answer: a.Quoted()})
}

// adopt ends a create with what was found of it.
func (w *Worker) adopt(ctx context.Context, j *job, status int, item translate.Item) error {
	w.log.InfoContext(ctx, "what a create without an answer has made was found", "cloud", w.cloud, "operation", j.op.Name,
		"event_id", j.cmd.Event.ID())
	j.adopted = true
	return w.end(ctx, j, events.Applied, coreapi.Answer{Status: status, Body: item.JSON}, nil)
}

func (w *Worker) claim(ctx context.Context, j *job, id string) (mine bool, err error) {
	err = insist(ctx, func(ctx context.Context) error {
		var err error
		mine, err = w.ledger.Claim(ctx, w.cloud, j.op.Resource, id, j.ledgerID)
		return err
	})
	return mine, err
}

// sighting is what a look has found: objects that were made by the command, the best one first, and objects of which that
// is not sure.
type sighting struct {
	equal, doubts []translate.Item
	status        int
	size          int  // bytes that are kept
	more          bool // than are kept
}

// maxSeen and maxSeenBytes bound what is kept of a look.
const (
	maxSeen      = 100
	maxSeenBytes = 16 << 20
)

func (s *sighting) add(items []translate.Item, made map[string]bool) {
	for _, item := range items {
		if made[item.ID] {
			continue
		}
		if item.Likeness == translate.Doubtful {
			item.JSON = nil // only its id is told
		}
		s.size += len(item.ID) + len(item.JSON)
		switch {
		case s.size > maxSeenBytes:
			s.more = true
		case item.Likeness == translate.Doubtful && len(s.doubts) < maxSeen:
			s.doubts = append(s.doubts, item)
		case item.Likeness != translate.Doubtful && len(s.equal) < maxSeen:
			s.equal = append(s.equal, item)
		default:
			s.more = true
		}
	}
}

// narrow turns what was made before a time into doubts, unless it bears the mark of the command, and brings the rest into
// order.
func (s *sighting) narrow(since time.Time) {
	s.equal = slices.DeleteFunc(s.equal, func(i translate.Item) bool {
		early := i.Likeness != translate.Exact && i.At.Before(since)
		if early {
			s.doubts = append(s.doubts, i)
		}
		return early
	})
	slices.SortStableFunc(s.equal, func(a, b translate.Item) int {
		return cmp.Or(-cmp.Compare(a.Likeness, b.Likeness), a.At.Compare(b.At))
	})
}

func (s *sighting) doubt() string {
	var ids []string
	for _, d := range s.doubts[:min(len(s.doubts), 5)] {
		ids = append(ids, factro.Escape(cmp.Or(shorten(d.ID), "one without an id")))
	}
	if len(ids) == 0 {
		return fmt.Sprintf("there are more than %d like it", maxSeen)
	}
	return "it may be " + strings.Join(ids, " or ")
}

// look looks once for what a create has made.
func (w *Worker) look(ctx, stopping context.Context, j *job) (sighting, error) {
	theirs, _ := w.api.At(j.record.StartedAt)
	search, err := translate.NewSearch(*j.op.Search, j.cmd.Event.Data(), theirs.Add(-inDoubt), j.record.Dated)
	if err != nil {
		return sighting{}, err
	}
	made, err := w.made(ctx, stopping, j)
	if err != nil {
		return sighting{}, err
	}
	params := search.Params()
	for _, p := range j.op.Search.Params {
		if p.Via == "" {
			continue
		}
		if params[p.Name], err = w.translated(ctx, stopping, j, p, params[p.Name]); err != nil {
			return sighting{}, err
		}
	}
	var seen sighting
	got, err := w.ask(ctx, stopping, j, j.op.Search.List, params, func(body io.Reader) error {
		seen = sighting{}
		return shape.Records(body, func(item []byte) error {
			seen.add(search.Judge(item), made)
			return nil
		})
	})
	if err != nil {
		return sighting{}, err
	}
	if err := w.settle(ctx, stopping, j); err != nil {
		return sighting{}, err
	}
	theirs, tolerance := w.api.At(j.record.StartedAt)
	seen.narrow(theirs.Add(-tolerance))
	seen.status = got.Status
	return seen, nil
}

// settle asks for as many answers as it takes to know factro's clock: of the first create that the bridge makes, two or
// three have been seen.
func (w *Worker) settle(ctx, stopping context.Context, j *job) error {
	for n := 1; n < coreapi.Agreeing && w.api.Unsettled(); n++ {
		_, err := w.ask(ctx, stopping, j, coreapi.Probe.Name, map[string]json.RawMessage{}, func(body io.Reader) error {
			_, err := io.Copy(io.Discard, io.LimitReader(body, coreapi.MaxErrorText))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// made are the objects that other commands have made since the time from which on there can be a doubt. Without the right
// to read the ledger as a stream it cannot be told.
func (w *Worker) made(ctx, stopping context.Context, j *job) (map[string]bool, error) {
	for n := 1; ; n++ {
		made, err := w.ledger.Made(ctx, w.cloud, j.record.StartedAt.Add(-inDoubt-coreapi.WideSkew))
		if err == nil || n == maxAttempts {
			return made, err
		}
		if coreapi.Sleep(stopping, backoff(n)) != nil {
			return nil, errStopped
		}
	}
}

// translated asks factro for the value that a list wants instead of the one that the command has.
func (w *Worker) translated(ctx, stopping context.Context, j *job, p factro.SearchParam, value json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	via, _ := factro.Lookup(p.Via) // ask tells of one that is not known
	_, err := w.ask(ctx, stopping, j, p.Via, map[string]json.RawMessage{p.Param: value}, func(body io.Reader) error {
		fields = nil
		text, err := coreapi.ReadWhole(via, body)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &fields)
	})
	if no, ok := errors.AsType[*refusedError](err); ok && no.status == http.StatusNotFound {
		return value, nil
	}
	if err != nil {
		return nil, err
	}
	if taken := fields[p.Take]; len(taken) > 0 {
		return taken, nil
	}
	return value, nil
}

var errStopped = errors.New("the bridge is told to stop")

// refusedError says that factro does not let us look.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

// ask makes a read that a command needs. It waits and repeats as a command does.
func (w *Worker) ask(
	ctx, stopping context.Context, j *job, operation string, params map[string]json.RawMessage, take func(io.Reader) error,
) (coreapi.Answer, error) {
	op, known := factro.Lookup(operation)
	if !known {
		return coreapi.Answer{}, fmt.Errorf("there is no operation %s", operation)
	}
	data, err := json.Marshal(params)
	if err != nil {
		return coreapi.Answer{}, fmt.Errorf("parameters of %s: %w", operation, err)
	}
	call, err := translate.Command(op, data)
	if err != nil {
		return coreapi.Answer{}, err
	}
	for n := 1; ; n++ {
		if err := w.turn(ctx, stopping, j); err != nil {
			return coreapi.Answer{}, errStopped
		}
		asking, cancel := context.WithTimeout(ctx, lookTimeout)
		got, judged := w.api.Exchange(asking, coreapi.Attempt{Op: op, Number: n, Take: take, Counts: true}, call, w.api.Key())
		late := asking.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return coreapi.Answer{}, errStopped
		case judged == coreapi.Done && got.Ours == nil:
			return got, nil
		case judged == coreapi.Refused:
			return got, &refusedError{got.Status, got.Text()}
		case judged == coreapi.Throttled, judged == coreapi.Unauthorized, got.Unasked():
			n--
			continue
		case n >= maxUnread && got.Ours != nil:
			return got, got.Ours
		case n >= maxUnread && (got.Malformed != nil && !got.General() || late): // maintenance is waited for, behind the breaker
			return got, errors.New(got.Text())
		case n >= maxAttempts:
			return got, errors.New(got.Text())
		}
		if coreapi.Sleep(stopping, backoff(n)) != nil {
			return coreapi.Answer{}, errStopped
		}
	}
}
