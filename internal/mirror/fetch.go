package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// mostBytes bounds an object.
const mostBytes = 8 << 20

var errTooLong = fmt.Errorf("an object of more than %d bytes", mostBytes)

// failure is a reading without an object. Another one may succeed.
type failure struct {
	why   string
	again time.Duration // at the earliest; 0 if factro says nothing of it
}

func (f *failure) Error() string { return f.why }

// fetched is what factro has answered: an object, or the status of one that it does not show.
type fetched struct {
	text   []byte
	status int // 0 for an object
	began  time.Time
	// dropped says that fields were taken out of the text.
	dropped bool
}

// fetch reads one object. It waits for its turn in the request budget.
func (s *session) fetch(ctx context.Context, known factro.Mirrored, id string) (f fetched, _ error) {
	var text []byte
	a, began, err := s.call(ctx, known.Read, map[string]string{known.ReadField: id}, func(body io.Reader) (err error) {
		text, err = io.ReadAll(io.LimitReader(body, mostBytes+1))
		switch {
		case err != nil:
			return err
		case len(text) > mostBytes:
			return errTooLong
		}
		return shape.CheckWhole(known.Read, text)
	})
	f.began = began
	switch {
	case err != nil:
		return f, err
	case gone(a.Status) && !factro.IsUnknownRoute(a.Status, a.Header, a.Body):
		f.status = a.Status
		return f, nil
	case a.Status/100 != 2:
		return f, &failure{why: a.Text()}
	}
	f.text = jsontext.WithoutMark(text)
	if got := idOf(f.text); got != id {
		return f, &failure{why: fmt.Sprintf("factro has answered with another object: its id is %.64q", got)}
	}
	return f, nil
}

// idOf is the id of an object, "" if it has none.
func idOf(text []byte) string {
	values, err := jsontext.Properties(text, "id")
	if err != nil {
		return ""
	}
	var id string
	if json.Unmarshal(values[0], &id) != nil {
		return ""
	}
	return id
}

// call makes one call of the mirror's part of the budget, as soon as it may be made.
func (s *session) call(ctx context.Context, op factro.Operation, params map[string]string, take func(io.Reader) error) (a coreapi.Answer, began time.Time, _ error) {
	data, err := json.Marshal(params)
	if err != nil {
		return a, began, fmt.Errorf("mirror: %w", err)
	}
	call, err := translate.Command(op, data)
	if err != nil {
		return a, began, &failure{why: err.Error()}
	}
	key, err := s.acquire(ctx)
	if err != nil {
		return a, began, err
	}
	if err := s.may(); err != nil {
		s.parts.API.Forgo()
		return a, began, err
	}
	began = time.Now()
	reading, cancel := context.WithTimeout(ctx, coreapi.QueryTimeout)
	defer cancel()
	a, j := s.parts.API.Exchange(reading, coreapi.Attempt{Op: op, Number: 1, Take: take}, call, key)
	s.metrics.called(ctx, op, a.Status)
	switch {
	case ctx.Err() != nil:
		return a, began, ctx.Err()
	case a.Ours != nil && !errors.Is(a.Ours, context.Canceled):
		return a, began, &failure{why: a.Ours.Error()}
	case j == coreapi.Done, j == coreapi.Refused:
		return a, began, nil
	}
	return a, began, &failure{why: a.Text(), again: a.AskedFor()}
}

// acquire waits until a call may be made.
func (s *session) acquire(ctx context.Context) (secret.String, error) {
	for {
		if err := s.parts.Pauses.AwaitKnown(ctx); err != nil {
			return "", err
		}
		if err := s.parts.Pauses.AwaitFree(ctx, s.cfg.Cloud, control.Mirror); err != nil {
			return "", err
		}
		key, o := s.parts.API.AcquireFor(ctx, budget.Mirror)
		if o.Code == "" {
			return key, nil
		}
		select {
		case <-time.After(min(max(time.Until(o.Until), leastWait), mostWait)):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// Bounds of the wait for factro. What is in the way may go earlier than it said.
const leastWait, mostWait = 50 * time.Millisecond, 10 * time.Second
