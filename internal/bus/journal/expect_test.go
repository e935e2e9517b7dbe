package journal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestExpect: what comes is found, whenever it came.
func TestExpect(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t, bustest.Users(nil))
	b := bustest.Running(t, broker)
	c := bustest.Dial(t, broker, bustest.AsBridge)
	c.CollectRefusals()
	for _, early := range []bool{false, true} {
		if early {
			store(t, b, "e-1")
		}
		e, err := journal.Expect(t.Context(), c, "FACTRO_EVENTS_ACME", bustest.EventSubject)
		if err != nil {
			t.Fatal(err)
		}
		if !early {
			store(t, b, "e-1")
		}
		m, err := e.Next(t.Context())
		if err != nil || m.Subject != bustest.EventSubject || m.Event.ID() != "e-1" {
			t.Errorf("got %+v, %v", m, err)
		}
	}
}

// TestExpectRefused: a missing permission looks like an event that does not come, so the error names it.
func TestExpectRefused(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"$JS.API.DIRECT.GET.>"} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			broker := natstest.Start(t, bustest.Users(bustest.Denied(subject, "")))
			bustest.Running(t, broker)
			c := bustest.Dial(t, broker, bustest.AsBridge)
			c.CollectRefusals()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			e, err := journal.Expect(ctx, c, "FACTRO_EVENTS_ACME", bustest.EventSubject)
			if err == nil {
				_, err = e.Next(ctx)
			}
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), strings.TrimSuffix(subject, ">")) {
				t.Errorf("got %v", err)
			}
			if err := c.Why(context.DeadlineExceeded, "factro.query."); strings.Contains(err.Error(), "ermission") {
				t.Errorf("a query that is late has another reason: %v", err)
			}
		})
	}
}

func store(t *testing.T, b *bus.Conn, id string) {
	t.Helper()
	if err := bustest.Publisher(t, b).Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, id), id); err != nil {
		t.Fatal(err)
	}
}
