package bus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// status is a StatusTeller made of a function.
type status func() events.Status

func (f status) Status() events.Status { return f() }

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
		"behind the one in hand":    {info(5, 4, 1, 1), "Q:6", "queued 1"},
		"behind others":             {info(5, 4, 9, 1), "Q:9", "queued 4"},
		"in hand":                   {info(5, 4, 3, 1), "Q:5", "inHand 0"},
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

// TestServeStatus: of several bridges the one answers that knows most, and what is no question is told so.
func TestServeStatus(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	in, goOn := make(chan string, 1), make(chan struct{})
	consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		in <- cmd.Position
		<-goOn
		return nil
	}})
	out := server.outside(t)
	client := events.NewClient(out.js, "acme")
	if _, err := client.Status(t.Context(), ""); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("without a bridge: %v", err)
	}
	var holds atomic.Bool
	since := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	start(t, func(ctx context.Context) error {
		return b.ServeStatus(ctx, "acme", status(func() events.Status {
			s := events.Status{Cloud: "holder", Factro: events.Condition{State: events.Reachable}}
			if holds.Load() {
				s.InHand = &events.InHand{State: events.HandCalling, Since: &since}
			}
			return s
		}))
	})
	for range 2 {
		other := server.connect(t, quiet())
		start(t, func(ctx context.Context) error {
			return other.ServeStatus(ctx, "acme", status(func() events.Status {
				return events.Status{Cloud: "held up", Factro: events.Condition{State: events.Unreachable}}
			}))
		})
	}
	ask := func(position string) (s events.Status) {
		eventually(t, "an answer", func() bool {
			var err error
			s, err = client.Status(t.Context(), position)
			return err == nil
		})
		return s
	}
	eventually(t, "who would take the next command answers", func() bool { return ask("").Cloud == "holder" })
	out.command("first")
	position := receive(t, in)
	holds.Store(true)
	out.command("second")
	eventually(t, "who has it in hand answers", func() bool {
		s := ask(position)
		return s.Cloud == "holder" && s.Command == events.CommandInHand && s.InHand.State == events.HandCalling && s.Waiting != nil && *s.Waiting == 2
	})
	if s := ask("FACTRO_COMMANDS_ACME:2"); s.Cloud != "holder" || s.Command != events.CommandQueued || s.Before == nil || *s.Before != 1 {
		t.Errorf("the second: %+v", s)
	}
	holds.Store(false) // as if it had died with it
	if s := ask("FACTRO_COMMANDS_ACME:2"); s.InHand == nil || s.InHand.State != events.HandElsewhere {
		t.Errorf("nobody has it: %+v", s)
	}
	refused := out.ask("factro.query.acme.status", "no question", nil)
	if refused.Header.Get(events.HeaderErrorCode) != "400" {
		t.Errorf("no question is answered with %v %s", refused.Header, refused.Data)
	}
	close(goOn)
	receive(t, in)
	eventually(t, "it is settled", func() bool { return ask(position).Command == events.CommandSettled })
}
