package spool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestSpoolRefused: what the broker never takes of the spool becomes a dead letter with its original, and what nothing takes
// holds up nobody.
func TestSpoolRefused(t *testing.T) {
	t.Parallel()
	for _, dead := range []bool{true, false} {
		t.Run(fmt.Sprint("dead letters are taken: ", dead), func(t *testing.T) {
			t.Parallel()
			srv := natstest.Start(t)
			out := connected(t, srv)
			if !dead {
				if _, err := out.JS.CreateStream(t.Context(), jetstream.StreamConfig{
					Name: "OBJ_FACTRO_ORIGINALS_ACME", Subjects: []string{"$O.FACTRO_ORIGINALS_ACME.>"}, MaxMsgSize: 10, AllowDirect: true, AllowRollup: true,
				}); err != nil {
					t.Fatal(err)
				}
			}
			bustest.Running(t, srv) // makes the streams
			out.limit("FACTRO_EVENTS_ACME", 10<<10)
			if !dead {
				out.limit("FACTRO_DEAD_ACME", 100)
			}
			srv.Stop()
			log, _ := bustest.NewLog()
			b := bustest.Connect(t, srv, log, func(c *bus.Config) { c.Manage = dead; c.Takes = true })
			bustest.Start(t, b.Run)
			s := newSpool(t, b, config(t.TempDir()))
			bustest.Start(t, s.Run)
			for i := range 200 {
				e := taskEvent(t, fmt.Sprint(i))
				if i == 3 {
					if err := e.SetData("application/json", []byte(`{"action":"TaskStateChanged","x":"`+strings.Repeat("x", 100<<10)+`"}`)); err != nil {
						t.Fatal(err)
					}
				}
				if _, _, err := s.Publish(t.Context(), task(i%7), e, fmt.Sprintf("acme.%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			srv.Start()
			natstest.Eventually(t, "the others are there", func() bool { return len(out.eventIDs()) == 199 })
			if !dead {
				natstest.Eventually(t, "it waits alone", func() bool { return s.queues.waiting() == 1 })
				if _, miss, ok := s.balance(t.Context()); ok && miss != 0 {
					t.Errorf("%d are not accounted for", miss)
				}
				return
			}
			wantBalance(t, s)
			l, err := deadletter.Get(t.Context(), dial(t, srv), "factro", "acme", 1)
			if err != nil || l.Code != "too_large" {
				t.Fatalf("the letter is %+v, %v", l, err)
			}
			if n := len(l.Data); n < 100<<10 {
				t.Errorf("the letter has %d bytes", n)
			}
		})
	}
}
