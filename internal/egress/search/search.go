package search

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

const (
	// MaxAttempts is how often something is tried that factro fails on.
	MaxAttempts = 8
	// DoubtWindow is how much older than the call a similar object may be and still count as a possible match. It is not known
	// whether factro's creation times agree with its Date header, and a missing time zone shifts them by hours. If the bridge
	// took an object for older than it is, it would create it twice. The price: if somebody made a similar object by hand on
	// the same day, a human has to decide.
	DoubtWindow = 24 * time.Hour
	// maxListReads is how often a list is read that has an unexpected form: it may have been cut off.
	maxListReads = 3
	// readTimeout limits one read for a command, because the commands behind it wait.
	readTimeout = 3 * time.Minute
)

// Candidates is what a search has found: objects that the command made, the best match first, and objects that it possibly made.
type Candidates struct {
	// Equal are the objects that the command made, Doubts those that it possibly made.
	Equal, Doubts []compare.Item
	// Status is that of factro's answer.
	Status int
	// More says that there are more than are kept.
	More bool

	size int // bytes that are kept
}

// maxCandidates and maxCandidateBytes limit what one search keeps.
const (
	maxCandidates     = 100
	maxCandidateBytes = 16 << 20
)

func (s *Candidates) add(items []compare.Item, made map[string]bool) {
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
			s.More = true
		case item.Likeness == compare.Doubtful && len(s.Doubts) < maxCandidates:
			s.Doubts = append(s.Doubts, item)
		case item.Likeness != compare.Doubtful && len(s.Equal) < maxCandidates:
			s.Equal = append(s.Equal, item)
		default:
			s.More = true
		}
	}
}

// drop leaves out objects that other commands have made.
func (s *Candidates) drop(made map[string]bool) {
	theirs := func(i compare.Item) bool { return made[i.ID] }
	s.Equal, s.Doubts = slices.DeleteFunc(s.Equal, theirs), slices.DeleteFunc(s.Doubts, theirs)
}

// doubtOlder moves objects that were created before a time to the doubts, unless they have the mark of the command. It sorts the
// rest.
func (s *Candidates) doubtOlder(since time.Time) {
	s.Equal = slices.DeleteFunc(s.Equal, func(i compare.Item) bool {
		early := i.Likeness != compare.Exact && i.At.Before(since)
		if early {
			s.Doubts = append(s.Doubts, i)
		}
		return early
	})
	slices.SortStableFunc(s.Equal, func(a, b compare.Item) int {
		return cmp.Or(-cmp.Compare(a.Likeness, b.Likeness), a.At.Compare(b.At))
	})
}

// Confirm leaves out what a search before has not found, and returns whether there was any: what other commands are making just now
// is not in the ledger yet, and is there a moment later. Exact matches need no confirmation; equal ones do only if others may be
// looked for as well. seen is what the search before has found, and then what this one has found.
func (s *Candidates) Confirm(seen *map[string]bool, equal bool) (unsure bool) {
	before := *seen
	*seen = map[string]bool{}
	drop := func(i compare.Item) bool {
		(*seen)[i.ID] = true
		unsure = unsure || !before[i.ID]
		return !before[i.ID]
	}
	s.Doubts = slices.DeleteFunc(s.Doubts, drop)
	if equal {
		s.Equal = slices.DeleteFunc(s.Equal, func(i compare.Item) bool { return i.Likeness != compare.Exact && drop(i) })
	}
	return unsure
}

// Doubt describes the doubts for people.
func (s *Candidates) Doubt() string {
	var ids []string
	for _, d := range s.Doubts[:min(len(s.Doubts), 5)] {
		ids = append(ids, factro.Escape(cmp.Or(coreapi.Shorten(d.ID), "one without an id")))
	}
	if len(ids) == 0 {
		return fmt.Sprintf("there are more than %d like it", maxCandidates)
	}
	return "it may be " + strings.Join(ids, " or ")
}

// Reads makes the reads of factro that a command needs.
type Reads struct {
	API *coreapi.API
	// AwaitSlot waits until factro may be called.
	AwaitSlot func(ctx context.Context) error
	// Finishing returns the context for work that must finish once it has begun.
	Finishing func(ctx context.Context) context.Context
}

// Create is a create whose object is searched for.
type Create struct {
	// Op is its operation, Data its data.
	Op   factro.Operation
	Data []byte
	// StartedAt is when the first call was about to be made, Dated the time of creation that was sent.
	StartedAt, Dated time.Time
	// Made are the objects that other commands have made.
	Made map[string]bool
}

// Find searches once for the object of a create.
func (r Reads) Find(ctx context.Context, c Create) (Candidates, error) {
	theirs, _ := r.API.At(c.StartedAt)
	search, err := compare.NewSearch(*c.Op.Search, c.Data, theirs.Add(-DoubtWindow), c.Dated)
	if err != nil {
		return Candidates{}, err
	}
	params := search.Params()
	for _, p := range c.Op.Search.Params {
		if p.Via == "" {
			continue
		}
		if params[p.Name], err = r.lookUpParam(ctx, p, params[p.Name]); err != nil {
			return Candidates{}, err
		}
	}
	var found Candidates
	got, err := r.Read(ctx, c.Op.Search.List, params, func(body io.Reader) error {
		found = Candidates{}
		return shape.Records(body, func(item []byte) error {
			found.add(search.Judge(item), c.Made)
			return nil
		})
	})
	if err != nil {
		return Candidates{}, err
	}
	if err := r.learnClock(ctx); err != nil {
		return Candidates{}, err
	}
	theirs, tolerance := r.API.At(c.StartedAt)
	found.doubtOlder(theirs.Add(-tolerance))
	found.Status = got.Status
	return found, nil
}

// learnClock makes probes until factro's clock is known. It is needed for the first create of a bridge, when the bridge has seen
// only two or three answers.
func (r Reads) learnClock(ctx context.Context) error {
	for n := 1; n < coreapi.Agreeing && r.API.Unsettled(); n++ {
		_, err := r.Read(ctx, coreapi.Probe.Name, map[string]json.RawMessage{}, Discard)
		if err != nil {
			return err
		}
	}
	return nil
}

// Discard reads an answer whose status alone counts.
func Discard(body io.Reader) error {
	_, err := io.Copy(io.Discard, io.LimitReader(body, coreapi.MaxErrorText))
	return err
}

// lookUpParam asks factro for the parameter of a list, if the command has another value in its place.
func (r Reads) lookUpParam(ctx context.Context, p factro.SearchParam, value json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	via, _ := factro.Lookup(p.Via) // Read reports an unknown one
	_, err := r.Read(ctx, p.Via, map[string]json.RawMessage{p.Param: value}, func(body io.Reader) error {
		fields = nil
		text, err := coreapi.ReadWhole(via, body)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &fields)
	})
	if no, ok := errors.AsType[*RefusedError](err); ok && no.Status == http.StatusNotFound {
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

// ErrStopped says that the bridge stopped before the read was made.
var ErrStopped = errors.New("the bridge is stopping")

// RefusedError says that factro refused the read.
type RefusedError struct {
	// Status is factro's.
	Status int
	text   string
}

func (e *RefusedError) Error() string { return e.text }

// Read makes a read that a command needs. It waits and retries as for a command.
func (r Reads) Read(
	ctx context.Context, operation string, params map[string]json.RawMessage, take func(io.Reader) error,
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
		if err := r.AwaitSlot(ctx); err != nil {
			return coreapi.Answer{}, ErrStopped
		}
		asking, cancel := context.WithTimeout(r.Finishing(ctx), readTimeout)
		got, judged := r.API.Exchange(asking, coreapi.Attempt{Op: op, Number: n, Take: take, Counts: true}, call, r.API.Key())
		late := asking.Err() != nil
		cancel()
		switch {
		case r.Finishing(ctx).Err() != nil:
			return coreapi.Answer{}, ErrStopped
		case judged == coreapi.Done && got.Ours == nil:
			return got, nil
		case judged == coreapi.Refused:
			return got, &RefusedError{got.Status, got.Text()}
		case judged == coreapi.Throttled, judged == coreapi.Unauthorized, got.Unasked():
			n--
			continue
		case n >= maxListReads && got.Ours != nil:
			return got, got.Ours
		case n >= maxListReads && (got.Malformed != nil && !got.General() || late): // for maintenance the breaker opens, and the read waits
			return got, errors.New(got.Text())
		case n >= MaxAttempts:
			return got, errors.New(got.Text())
		}
		if coreapi.Sleep(ctx, delivery.Backoff(n)) != nil {
			return coreapi.Answer{}, ErrStopped
		}
	}
}
