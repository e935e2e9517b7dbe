package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestMenderGivesUp: a fault that new starts do not mend fails liveness after a bounded time, and one that is gone is
// forgotten. The attempts come ever less often.
func TestMenderGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Bus{}
		attempt := func(fault error) (due bool) {
			if due = b.mender.due(fault, time.Now()); due {
				b.mender.attempts, b.mender.last = b.mender.attempts+1, time.Now()
			}
			return due
		}
		fault := errors.New("too many open files")
		var at []time.Duration
		began := time.Now()
		for time.Since(began) < hopelessFrom {
			if b.Alive() != nil {
				t.Fatalf("not alive after %s", time.Since(began))
			}
			if attempt(fault) {
				at = append(at, time.Since(began).Round(time.Second))
			}
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		}
		if got := fmt.Sprint(at); got != "[0s 10s 30s 1m10s]" {
			t.Errorf("attempts at %s", got)
		}
		if err := b.Alive(); !errors.Is(err, fault) {
			t.Errorf("after %s: %v", hopelessFrom, err)
		}
		for range int(healthyAfter/time.Second) + 1 {
			attempt(nil)
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		}
		if err := b.Alive(); err != nil {
			t.Errorf("mended, but %v", err)
		}
	})
}

// TestSilentDestination: only publishes that nobody answers for a while are the server's fault; refusals are answers.
func TestSilentDestination(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err   error
		lasts time.Duration
		want  bool
	}{
		"silence":           {context.DeadlineExceeded, mendAfter, true},
		"nobody there":      {jetstream.ErrNoStreamResponse, mendAfter, true},
		"not for long":      {context.DeadlineExceeded, mendAfter - time.Second, false},
		"a refusal":         {&jetstream.APIError{Code: 503, ErrorCode: 10077}, mendAfter, false},
		"begun before then": {context.DeadlineExceeded, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHealth()
				h.fails("factro.event.acme", "acme", fmt.Errorf("publish: %w", tt.err))
				time.Sleep(tt.lasts) //nolint:forbidigo // in a bubble
				h.fails("factro.event.acme", "acme", fmt.Errorf("publish: %w", tt.err))
				if got := h.unanswered(time.Time{}) != nil; got != tt.want {
					t.Errorf("silent is %t", got)
				}
				if h.unanswered(time.Now()) != nil {
					t.Error("what was before the last new start counts")
				}
				time.Sleep(mendAfter) //nolint:forbidigo // in a bubble
				if h.unanswered(time.Time{}) != nil {
					t.Error("what nobody tries any more counts")
				}
			})
		})
	}
}
