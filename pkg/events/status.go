package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// statusTimeout bounds a question about the state of the commands whose context has no deadline.
const statusTimeout = 2 * time.Second

// Status asks the bridge why the commands of the cloud wait, and with the position of a command, how far that is. The bridge
// answers without calling factro, so also while factro is away.
//
// [nats.ErrNoResponders] means that no bridge with the role egress is connected for this cloud, that it is one before contract 3.0,
// or, in an account of its own, that [Prefix.Status] is not imported there. A user without the right gets no answer in time.
func (c *Client) Status(ctx context.Context, position string) (status.Status, error) {
	if err := c.check(); err != nil {
		return status.Status{}, fmt.Errorf("status: %w", err)
	}
	data, err := json.Marshal(status.Request{Position: position})
	if err != nil {
		return status.Status{}, fmt.Errorf("status: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	msg := &nats.Msg{Subject: c.prefix.Status(c.cloud), Header: nats.Header{}, Data: data}
	propagator.Inject(ctx, delivery.Header(msg.Header))
	answer, err := c.js.Conn().RequestMsgWithContext(ctx, msg)
	if err != nil {
		return status.Status{}, fmt.Errorf("status %s: %w", msg.Subject, err)
	}
	if err := answerError(answer); err != nil {
		return status.Status{}, err
	}
	var s status.Status
	if err := json.Unmarshal(answer.Data, &s); err != nil {
		return status.Status{}, fmt.Errorf("status: %w", err)
	}
	return s, nil
}

const (
	// statusAfter is how long OnStatus is silent: most results come before that.
	statusAfter = time.Second
	// statusEvery is how often it is asked.
	statusEvery = 2 * time.Second
	// unansweredMost is after how many questions without any word nobody is asked again: the right is missing, and each one is an
	// error in the server's log.
	unansweredMost = 2
	// absences is how many times in a row there has to be no bridge before f hears so: one that restarts is back in a moment.
	absences = 3
)

// WatchStatus calls f with what [Client.Status] says, after a second and then whenever it has changed, until ctx ends. The first
// error is reported, too, and at once if no bridge is there.
func (c *Client) WatchStatus(ctx context.Context, position string, f func(status.Status, error)) {
	began := time.Now()
	var reported []byte // the last status that was reported, without what changes all the time
	var failed bool     // the last word was an error
	for absent, silent := 0, 0; ctx.Err() == nil; {
		s, err := c.Status(ctx, position)
		next := statusEvery
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
			if silent++; errors.Is(err, nats.ErrNoResponders) || isDisconnect(err) {
				silent = 0
			}
			if silent == unansweredMost {
				return
			}
		default:
			absent, silent, failed = 0, 0, false
			if rest := statusAfter - time.Since(began); rest > 0 {
				next = rest
				break
			}
			if now := essence(s); !bytes.Equal(now, reported) {
				f(s, nil)
				reported = now
			}
		}
		pause(ctx, next)
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

// news is what WatchStatus tells.
type news struct {
	status status.Status
	err    error
}

// watch reports what the command waits for to the loop that waits for results, until ctx ends.
func (w *waiter) watch(ctx context.Context, out chan<- news) {
	w.client.WatchStatus(ctx, w.place, func(s status.Status, err error) {
		select {
		case out <- news{s, err}:
		case <-ctx.Done():
		}
	})
}
