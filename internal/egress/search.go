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
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
)

// candidates is what a search has found: objects that the command made, the best match first, and objects that it possibly made.
type candidates struct {
	equal, doubts []compare.Item
	status        int
	size          int  // bytes that are kept
	more          bool // there are more than are kept
}

// maxCandidates and maxCandidateBytes limit what one search keeps.
const (
	maxCandidates     = 100
	maxCandidateBytes = 16 << 20
)

func (s *candidates) add(items []compare.Item, made map[string]bool) {
	for _, item := range items {
		if made[item.ID] {
			continue
		}
		if item.Likeness == compare.Doubtful {
			item.JSON = nil // only its id is reported
		}
		s.size += len(item.ID) + len(item.JSON)
		switch {
		case s.size > maxCandidateBytes:
			s.more = true
		case item.Likeness == compare.Doubtful && len(s.doubts) < maxCandidates:
			s.doubts = append(s.doubts, item)
		case item.Likeness != compare.Doubtful && len(s.equal) < maxCandidates:
			s.equal = append(s.equal, item)
		default:
			s.more = true
		}
	}
}

// doubtOlder moves objects that were created before a time to the doubts, unless they have the mark of the command. It sorts the
// rest.
func (s *candidates) doubtOlder(since time.Time) {
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

func (s *candidates) describeDoubts() string {
	var ids []string
	for _, d := range s.doubts[:min(len(s.doubts), 5)] {
		ids = append(ids, factro.Escape(cmp.Or(shorten(d.ID), "one without an id")))
	}
	if len(ids) == 0 {
		return fmt.Sprintf("there are more than %d like it", maxCandidates)
	}
	return "it may be " + strings.Join(ids, " or ")
}

// findCreated searches once for the object of a create.
func (w *Worker) findCreated(ctx context.Context, j *job) (candidates, error) {
	theirs, _ := w.api.At(j.record.StartedAt)
	search, err := compare.NewSearch(*j.op.Search, j.cmd.Event.Data(), theirs.Add(-doubtWindow), j.record.Dated)
	if err != nil {
		return candidates{}, err
	}
	made, err := w.madeByOthers(ctx, j)
	if err != nil {
		return candidates{}, err
	}
	params := search.Params()
	for _, p := range j.op.Search.Params {
		if p.Via == "" {
			continue
		}
		if params[p.Name], err = w.lookUpParam(ctx, j, p, params[p.Name]); err != nil {
			return candidates{}, err
		}
	}
	var found candidates
	got, err := w.readWithRetries(ctx, j, j.op.Search.List, params, func(body io.Reader) error {
		found = candidates{}
		return shape.Records(body, func(item []byte) error {
			found.add(search.Judge(item), made)
			return nil
		})
	})
	if err != nil {
		return candidates{}, err
	}
	if err := w.learnClock(ctx, j); err != nil {
		return candidates{}, err
	}
	theirs, tolerance := w.api.At(j.record.StartedAt)
	found.doubtOlder(theirs.Add(-tolerance))
	found.status = got.Status
	return found, nil
}

// learnClock makes probes until factro's clock is known. It is needed for the first create of a bridge, when the bridge has seen
// only two or three answers.
func (w *Worker) learnClock(ctx context.Context, j *job) error {
	for n := 1; n < coreapi.Agreeing && w.api.Unsettled(); n++ {
		_, err := w.readWithRetries(ctx, j, coreapi.Probe.Name, map[string]json.RawMessage{}, func(body io.Reader) error {
			_, err := io.Copy(io.Discard, io.LimitReader(body, coreapi.MaxErrorText))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// madeByOthers returns the objects that other commands have made within the doubt window. It needs the right to read the ledger as
// a stream.
func (w *Worker) madeByOthers(ctx context.Context, j *job) (map[string]bool, error) {
	for n := 1; ; n++ {
		made, err := w.ledger.Made(finishing(ctx), w.cloud, j.record.StartedAt.Add(-doubtWindow-coreapi.WideSkew))
		if err == nil || n == maxAttempts {
			return made, err
		}
		if coreapi.Sleep(ctx, delivery.Backoff(n)) != nil {
			return nil, errStopped
		}
	}
}

// lookUpParam asks factro for the parameter of a list, if the command has another value in its place.
func (w *Worker) lookUpParam(ctx context.Context, j *job, p factro.SearchParam, value json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	via, _ := factro.Lookup(p.Via) // readWithRetries reports an unknown one
	_, err := w.readWithRetries(ctx, j, p.Via, map[string]json.RawMessage{p.Param: value}, func(body io.Reader) error {
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

// refusedError says that factro refused the read.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

// readWithRetries makes a read that a command needs. It waits and retries as for a command.
func (w *Worker) readWithRetries(
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
		if w.awaitSlot(ctx, j) != nil || commands.MayCall(ctx) != nil {
			return coreapi.Answer{}, errStopped
		}
		asking, cancel := context.WithTimeout(finishing(ctx), readTimeout)
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
		case n >= maxListReads && got.Ours != nil:
			return got, got.Ours
		case n >= maxListReads && (got.Malformed != nil && !got.General() || late): // for maintenance the breaker opens, and the read waits
			return got, errors.New(got.Text())
		case n >= maxAttempts:
			return got, errors.New(got.Text())
		}
		if coreapi.Sleep(ctx, delivery.Backoff(n)) != nil {
			return coreapi.Answer{}, errStopped
		}
	}
}
