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

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
)

// sighting is what a look has found: objects that were made by the command, the best one first, and objects of which that
// is not sure.
type sighting struct {
	equal, doubts []compare.Item
	status        int
	size          int  // bytes that are kept
	more          bool // than are kept
}

// maxSeen and maxSeenBytes bound what is kept of a look.
const (
	maxSeen      = 100
	maxSeenBytes = 16 << 20
)

func (s *sighting) add(items []compare.Item, made map[string]bool) {
	for _, item := range items {
		if made[item.ID] {
			continue
		}
		if item.Likeness == compare.Doubtful {
			item.JSON = nil // only its id is reported
		}
		s.size += len(item.ID) + len(item.JSON)
		switch {
		case s.size > maxSeenBytes:
			s.more = true
		case item.Likeness == compare.Doubtful && len(s.doubts) < maxSeen:
			s.doubts = append(s.doubts, item)
		case item.Likeness != compare.Doubtful && len(s.equal) < maxSeen:
			s.equal = append(s.equal, item)
		default:
			s.more = true
		}
	}
}

// narrow turns what was made before a time into doubts, unless it bears the mark of the command, and brings the rest into
// order.
func (s *sighting) narrow(since time.Time) {
	s.equal = slices.DeleteFunc(s.equal, func(i compare.Item) bool {
		early := i.Likeness != compare.Exact && i.At.Before(since)
		if early {
			s.doubts = append(s.doubts, i)
		}
		return early
	})
	slices.SortStableFunc(s.equal, func(a, b compare.Item) int {
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
func (w *Worker) look(ctx context.Context, j *job) (sighting, error) {
	theirs, _ := w.api.At(j.record.StartedAt)
	search, err := compare.NewSearch(*j.op.Search, j.cmd.Event.Data(), theirs.Add(-inDoubt), j.record.Dated)
	if err != nil {
		return sighting{}, err
	}
	made, err := w.made(ctx, j)
	if err != nil {
		return sighting{}, err
	}
	params := search.Params()
	for _, p := range j.op.Search.Params {
		if p.Via == "" {
			continue
		}
		if params[p.Name], err = w.translated(ctx, j, p, params[p.Name]); err != nil {
			return sighting{}, err
		}
	}
	var seen sighting
	got, err := w.ask(ctx, j, j.op.Search.List, params, func(body io.Reader) error {
		seen = sighting{}
		return shape.Records(body, func(item []byte) error {
			seen.add(search.Judge(item), made)
			return nil
		})
	})
	if err != nil {
		return sighting{}, err
	}
	if err := w.settle(ctx, j); err != nil {
		return sighting{}, err
	}
	theirs, tolerance := w.api.At(j.record.StartedAt)
	seen.narrow(theirs.Add(-tolerance))
	seen.status = got.Status
	return seen, nil
}

// settle asks for as many answers as it takes to know factro's clock: of the first create that the bridge makes, two or
// three have been seen.
func (w *Worker) settle(ctx context.Context, j *job) error {
	for n := 1; n < coreapi.Agreeing && w.api.Unsettled(); n++ {
		_, err := w.ask(ctx, j, coreapi.Probe.Name, map[string]json.RawMessage{}, func(body io.Reader) error {
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
func (w *Worker) made(ctx context.Context, j *job) (map[string]bool, error) {
	for n := 1; ; n++ {
		made, err := w.ledger.Made(finishing(ctx), w.cloud, j.record.StartedAt.Add(-inDoubt-coreapi.WideSkew))
		if err == nil || n == maxAttempts {
			return made, err
		}
		if coreapi.Sleep(ctx, delivery.Backoff(n)) != nil {
			return nil, errStopped
		}
	}
}

// translated asks factro for the value that a list wants instead of the one that the command has.
func (w *Worker) translated(ctx context.Context, j *job, p factro.SearchParam, value json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	via, _ := factro.Lookup(p.Via) // ask tells of one that is not known
	_, err := w.ask(ctx, j, p.Via, map[string]json.RawMessage{p.Param: value}, func(body io.Reader) error {
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

var errStopped = errors.New("the bridge is stopping")

// refusedError says that factro does not let us look.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

// ask makes a read that a command needs. It waits and repeats as a command does.
func (w *Worker) ask(
	ctx context.Context, j *job, operation string, params map[string]json.RawMessage, take func(io.Reader) error,
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
		if err := w.turn(ctx, j); err != nil {
			return coreapi.Answer{}, errStopped
		}
		asking, cancel := context.WithTimeout(finishing(ctx), lookTimeout)
		got, judged := w.api.Exchange(asking, coreapi.Attempt{Op: op, Number: n, Take: take, Counts: true}, call, w.api.Key())
		late := asking.Err() != nil
		cancel()
		switch {
		case finishing(ctx).Err() != nil:
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
		if coreapi.Sleep(ctx, delivery.Backoff(n)) != nil {
			return coreapi.Answer{}, errStopped
		}
	}
}
