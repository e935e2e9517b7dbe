package bus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const refusedCommand = "factro.command.acme.task.deleteTask"

// TestHeaderBudget: our limit on headers is the server's, to the byte.
func TestHeaderBudget(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b := run(t, srv.connect(t, quiet()))
	out := srv.outside(t)
	h := nats.Header{"X-Junk": {""}, "X-Many": {"a", "", "größer"}}
	h["X-Junk"] = []string{strings.Repeat("x", natserr.MaxHeader-natserr.HeaderSize(h))}
	if err := natserr.CheckHeader(h); err != nil {
		t.Error(err)
	}
	if _, err := out.js.PublishMsg(t.Context(), &nats.Msg{Subject: refusedCommand, Header: h}); err != nil {
		t.Errorf("the server takes less than we think: %v", err)
	}
	h["X-Junk"][0] += "x"
	if err := natserr.CheckHeader(h); !errors.Is(err, natserr.ErrHeader) {
		t.Errorf("one byte more is %v", err)
	}
	_, err := out.js.PublishMsg(t.Context(), &nats.Msg{Subject: refusedCommand, Header: h})
	if !natserr.TooLarge(err) || natserr.Of(err) != natserr.Permanent {
		t.Errorf("the server takes more than we think: %v", err)
	}
	e := taskEvent(t, "e-1")
	e.SetExtension("huge", strings.Repeat("x", 70_000))
	if err := b.Publish(t.Context(), eventSubject, e, "e-1"); !errors.Is(err, events.ErrTooLarge) || !Permanent(err) {
		t.Errorf("headers that no message can hold are %v", err)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("one message's own fault is a failure of the destination: %v", err)
	}
}

// TestSides: the health of webhooks and that of commands know nothing of each other.
func TestSides(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]side{
		"factro.event.acme.task.1.X": webhookSide, "factro.dead.webhook.acme": webhookSide,
		"factro.dead.command.acme.task.x": commandSide, "factro.result.acme.task.x.applied": commandSide, "factro.command.acme.task.x": commandSide,
	} {
		h := newHealth()
		h.fails(destination(subject), "acme", errors.New("no"))
		if h.trouble("acme", want) == nil || h.trouble("acme", 1-want) != nil {
			t.Errorf("%s: %v and %v", subject, h.trouble("acme", webhookSide), h.trouble("acme", commandSide))
		}
	}
	h := newHealth()
	h.fails("the ledger", "acme", errors.New("no"))
	h.pulls("acme", errors.New("no"))
	if h.trouble("acme", webhookSide) != nil || h.trouble("acme", commandSide) == nil {
		t.Error("the ledger and the pulls are the commands'")
	}
}

// TestRefusingClock: only refusals count, without silence in between, and an answer of yes ends it.
func TestRefusingClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		no := &jetstream.APIError{Code: 400, ErrorCode: 10109}
		h := newHealth()
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
		h.renewed()
		want("on a new connection", 0)
		want("on a new connection", time.Second)
		h.works("x")
		want("after a success", 0)
	})
}
