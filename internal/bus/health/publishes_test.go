package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
)

// fresh knows nothing yet.
func fresh() *Health {
	return New(nil, dial.Config{Prefix: "factro", Clouds: []string{"acme"}}, NewState(nil, 0), RefusingAfter, slog.New(slog.DiscardHandler))
}

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
				h := fresh()
				h.fails("factro.event.acme", "acme", fmt.Errorf("publish: %w", tt.err))
				time.Sleep(tt.lasts) //nolint:forbidigo // in a bubble
				h.fails("factro.event.acme", "acme", fmt.Errorf("publish: %w", tt.err))
				if got := h.Unanswered(time.Time{}) != nil; got != tt.want {
					t.Errorf("silent is %t", got)
				}
				if h.Unanswered(time.Now()) != nil {
					t.Error("what was before the last new start counts")
				}
				time.Sleep(silentAfter) //nolint:forbidigo // in a bubble
				if h.Unanswered(time.Time{}) != nil {
					t.Error("what nobody tries any more counts")
				}
			})
		})
	}
}

// TestSides: the health of webhooks and that of commands know nothing of each other.
func TestSides(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]side{
		"factro.event.acme.task.1.X": webhookSide, "factro.dead.webhook.acme": webhookSide,
		"factro.dead.command.acme.task.x": commandSide, "factro.result.acme.task.x.applied": commandSide, "factro.command.acme.task.x": commandSide,
	} {
		h := fresh()
		h.fails(Destination(subject), "acme", errors.New("no"))
		if h.trouble("acme", want) == nil || h.trouble("acme", 1-want) != nil {
			t.Errorf("%s: %v and %v", subject, h.trouble("acme", webhookSide), h.trouble("acme", commandSide))
		}
	}
	h := fresh()
	h.fails("the ledger", "acme", errors.New("no"))
	h.Pulls("acme", errors.New("no"))
	if h.trouble("acme", webhookSide) != nil || h.trouble("acme", commandSide) == nil {
		t.Error("the ledger and the pulls are the commands'")
	}
}

// TestRefusingClock: only refusals count, without silence in between, and an answer of yes ends it.
func TestRefusingClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		no := &jetstream.APIError{Code: 400, ErrorCode: 10109}
		h := fresh()
		want := func(what string, want time.Duration) {
			t.Helper()
			if _, d := h.fails("x", "acme", no); d != want {
				t.Errorf("%s: it is refused for %s, want %s", what, d, want)
			}
			time.Sleep(time.Second) //nolint:forbidigo // in the bubble
		}
		want("the first", 0)
		want("the second", time.Second)
		want("the third", 2*time.Second)
		h.fails("x", "acme", context.DeadlineExceeded)
		want("after silence", 0)
		want("after silence", time.Second)
		h.Renewed()
		want("on a new connection", 0)
		want("on a new connection", time.Second)
		h.works("x")
		want("after a success", 0)
	})
}
