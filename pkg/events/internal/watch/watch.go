// Package watch reports what commands wait for, whenever that changes.
//
// In: a function that asks the bridge. Out: states, and the first of several errors. It never asks in vain for long.
package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

const (
	// firstAfter is how long nothing is reported: most results come before that.
	firstAfter = time.Second
	// every is how often it is asked.
	every = 2 * time.Second
	// unansweredMost is after how many questions without any word nobody is asked again: the right is missing, and each one is an
	// error in the server's log.
	unansweredMost = 2
	// absences is how many times in a row there has to be no bridge before f hears so: one that restarts is back in a moment.
	absences = 3
)

// Status calls f with what ask returns, after a second and then whenever it has changed, until ctx ends. The first error is
// reported, too, and at once if no bridge is there.
func Status(ctx context.Context, ask func(context.Context) (status.Status, error), f func(status.Status, error)) {
	began := time.Now()
	var reported []byte // the last status that was reported, without what changes all the time
	var failed bool     // the last word was an error
	for absent, silent := 0, 0; ctx.Err() == nil; {
		s, err := ask(ctx)
		next := every
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, nats.ErrNoResponders) && absent+1 < absences:
			absent++
			next = 100 * time.Millisecond
		case err != nil:
			if !failed {
				f(status.Status{}, err)
			}
			failed, reported = true, nil
			if silent++; errors.Is(err, nats.ErrNoResponders) || natserr.Disconnected(err) {
				silent = 0
			}
			if silent == unansweredMost {
				return
			}
		default:
			absent, silent, failed = 0, 0, false
			if rest := firstAfter - time.Since(began); rest > 0 {
				next = rest
				break
			}
			if now := essence(s); !bytes.Equal(now, reported) {
				f(s, nil)
				reported = now
			}
		}
		delivery.Pause(ctx, next)
	}
}

// essence is what a person should hear of again if it changes.
func essence(s status.Status) []byte {
	s.At, s.Waiting, s.Factro.RetryAt = time.Time{}, nil, nil
	if s.Paused != nil {
		p := *s.Paused
		p.RetryAt = nil
		s.Paused = &p
	}
	text, err := json.Marshal(s)
	if err != nil { // a time beyond the year 9999
		return nil
	}
	return text
}
