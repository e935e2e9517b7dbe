package queries

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// reporter is a StatusReporter made of a function.
type reporter func() status.Status

func (f reporter) Status() status.Status { return f() }

func TestPlace(t *testing.T) {
	t.Parallel()
	info := func(delivered, floor, pending uint64, taken int) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{
			Delivered: jetstream.SequenceInfo{Stream: delivered}, AckFloor: jetstream.SequenceInfo{Stream: floor}, NumPending: pending, NumAckPending: taken,
		}
	}
	for name, tt := range map[string]struct {
		queue    *jetstream.ConsumerInfo
		position string
		want     string
	}{
		"the next":                  {info(4, 4, 1, 0), "Q:5", "queued 0"},
		"behind the one in flight":  {info(5, 4, 1, 1), "Q:6", "queued 1"},
		"behind others":             {info(5, 4, 9, 1), "Q:9", "queued 4"},
		"in flight":                 {info(5, 4, 3, 1), "Q:5", "inHand 0"},
		"settled":                   {info(5, 4, 3, 1), "Q:4", "settled"},
		"all settled":               {info(5, 5, 0, 0), "Q:5", "settled"},
		"others were deleted":       {info(5, 5, 2, 0), "Q:50", "queued 1"},
		"the broker is a bit late":  {info(4, 4, 0, 0), "Q:6", "queued 1"},
		"of another stream":         {info(5, 4, 3, 1), "OTHER:5", ""},
		"no place":                  {info(5, 4, 3, 1), "", ""},
		"no number":                 {info(5, 4, 3, 1), "Q:x", ""},
		"no such number":            {info(5, 4, 3, 1), "Q:0", ""},
		"nothing was delivered yet": {info(0, 0, 3, 0), "Q:3", "queued 2"},
	} {
		state, before := place(tt.queue, "Q", tt.position)
		got := string(state)
		if before != nil {
			got = fmt.Sprint(state, " ", *before)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// TestServeStatus: of several bridges the one answers that knows most, and what is no question gets an answer that says so.
func TestServeStatus(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	client := events.NewClient(out.JS, "acme")
	if _, err := client.Status(t.Context(), ""); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("without a bridge: %v", err)
	}
	var holds atomic.Bool
	since := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	bustest.Start(t, func(ctx context.Context) error {
		return ServeStatus(ctx, b, "acme", reporter(func() status.Status {
			s := status.Status{Cloud: "holder", Factro: status.Condition{State: status.Reachable}}
			if holds.Load() {
				s.InFlight = &status.InFlight{State: status.Calling, Since: &since}
			}
			return s
		}), bustest.Quiet())
	})
	for range 2 {
		other := bustest.Connect(t, server, bustest.Quiet())
		bustest.Start(t, func(ctx context.Context) error {
			return ServeStatus(ctx, other, "acme", reporter(func() status.Status {
				return status.Status{Cloud: "held up", Factro: status.Condition{State: status.Unreachable}}
			}), bustest.Quiet())
		})
	}
	ask := func(position string) (s status.Status) {
		natstest.Eventually(t, "an answer", func() bool {
			var err error
			s, err = client.Status(t.Context(), position)
			return err == nil
		})
		return s
	}
	natstest.Eventually(t, "who would take the next command answers", func() bool { return ask("").Cloud == "holder" })
	out.Command("first")
	queue, err := commands.Bind(t.Context(), b, "acme", bustest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	first, err := queue.Next()
	if err != nil {
		t.Fatal(err)
	}
	const position = "FACTRO_COMMANDS_ACME:1"
	holds.Store(true)
	out.Command("second")
	natstest.Eventually(t, "the bridge that carries it out answers", func() bool {
		s := ask(position)
		return s.Cloud == "holder" && s.Command == status.CommandInFlight && s.InFlight.State == status.Calling && s.Waiting != nil && *s.Waiting == 2
	})
	if s := ask("FACTRO_COMMANDS_ACME:2"); s.Cloud != "holder" || s.Command != status.CommandQueued || s.Before == nil || *s.Before != 1 {
		t.Errorf("the second: %+v", s)
	}
	holds.Store(false) // as if it had died with it
	if s := ask("FACTRO_COMMANDS_ACME:2"); s.InFlight == nil || s.InFlight.State != status.Elsewhere {
		t.Errorf("nobody has it: %+v", s)
	}
	refused := out.Ask("factro.query.acme.status", "no question", nil)
	if refused.Header.Get(events.HeaderErrorCode) != "400" {
		t.Errorf("no question is answered with %v %s", refused.Header, refused.Data)
	}
	for _, settle := range []func() error{first.Ack, func() error {
		second, err := queue.Next()
		return errors.Join(err, second.Ack())
	}} {
		if err := settle(); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Eventually(t, "it is settled", func() bool { return ask(position).Command == status.CommandSettled })
}
