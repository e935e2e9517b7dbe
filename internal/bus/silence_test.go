package bus

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestSilentDestination: only publishes that nobody answers for a while are the server's fault; refusals are answers.
func TestSilentDestination(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err   error
		lasts time.Duration
		want  bool
	}{
		"silence":           {context.DeadlineExceeded, silentAfter, true},
		"nobody there":      {jetstream.ErrNoStreamResponse, silentAfter, true},
		"not for long":      {context.DeadlineExceeded, silentAfter - time.Second, false},
		"a refusal":         {&jetstream.APIError{Code: 503, ErrorCode: 10077}, silentAfter, false},
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
				time.Sleep(silentAfter) //nolint:forbidigo // in a bubble
				if h.unanswered(time.Time{}) != nil {
					t.Error("what nobody tries any more counts")
				}
			})
		})
	}
}
