package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// impatient is a consumer on a connection that does not wait long for what is refused.
type impatient struct {
	*bus.Conn
	consumer *Consumer
	letters  *deadletter.Store
	book     *bustest.Log
}

const refusing = 300 * time.Millisecond

func newImpatient(t testing.TB, srv *natstest.Server, change ...func(*bus.Config)) impatient {
	t.Helper()
	log, book := bustest.NewLog()
	b := bustest.Run(t, bustest.ConnectWith(t, srv, log, bus.Timing{RefusingAfter: refusing, Heartbeat: patient.Heartbeat, CheckTimeout: patient.CheckTimeout}, change...))
	c, letters := consumer(t, b, log)
	c.undecidedAfter = refusing
	return impatient{b, c, letters, book}
}

func (i impatient) consume(t testing.TB, w Worker) {
	t.Helper()
	bustest.Start(t, func(ctx context.Context) error { return i.consumer.Run(ctx, "acme", Options{}, w) })
}

func (i impatient) recover(t testing.TB, clouds ...string) {
	t.Helper()
	bustest.Start(t, func(ctx context.Context) error { return i.letters.Recover(ctx, clouds) })
}

// waiting is what a client finds parked.
func waiting(t *testing.T, srv *natstest.Server) (all []deadletter.Parked) {
	t.Helper()
	err := deadletter.ListParked(t.Context(), bustest.Client(t, srv), "factro", "acme", func(p deadletter.Parked) error {
		all = append(all, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestParked: a command whose dead letter its stream does not take is parked and holds up nobody, and the dead letter is published
// once the stream takes it.
func TestParked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refuse, repair func(bustest.Outside)
		healthy        bool
	}{
		"a tiny limit": {
			refuse:  func(out bustest.Outside) { out.Limit("FACTRO_DEAD_ACME", 100) },
			repair:  func(out bustest.Outside) { out.Limit("FACTRO_DEAD_ACME", -1) },
			healthy: true, // each letter's own fault
		},
		"sealed": {
			refuse: func(out bustest.Outside) { out.Seal("FACTRO_DEAD_ACME") },
			repair: func(out bustest.Outside) { out.Delete("FACTRO_DEAD_ACME") },
		},
		"no room in it": {
			refuse: func(out bustest.Outside) {
				out.Change("FACTRO_DEAD_ACME", func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardNew, 10 })
			},
			repair: func(out bustest.Outside) {
				out.Change("FACTRO_DEAD_ACME", func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := natstest.Start(t)
			b := newImpatient(t, srv)
			out := bustest.Connected(t, srv)
			b.recover(t, "acme", "beta")
			w, got := refuser()
			b.consume(t, w)
			if tt.healthy {
				sample(t, b.Conn)
			}
			tt.refuse(out)
			const all = 5
			for i := range all {
				out.Command(fmt.Sprint(i))
			}
			for seen, end := map[string]bool{}, time.Now().Add(natstest.Patience); len(seen) < all; {
				if seen[natstest.Receive(t, got)] = true; time.Now().After(end) {
					t.Fatalf("only %v came", seen)
				}
			}
			natstest.Eventually(t, "all are settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
			if n := len(waiting(t, srv)); n != all {
				t.Errorf("%d are parked, want %d", n, all)
			}
			if found := waiting(t, srv); len(found) != all {
				t.Errorf("the client finds %+v", found)
			} else if p := found[slices.IndexFunc(found, func(p deadletter.Parked) bool { return p.ID == "4" })]; p.ID != "4" || p.Operation != "deleteTask" || p.Code != "refused" || p.Outcome != "" || p.Position == "" ||
				time.Since(p.Since) > time.Minute || !slices.Equal(p.Subjects, []string{refusedLetter}) || p.Broken != nil {
				t.Errorf("the last one is %+v", p)
			}
			if b.book.Count("it is parked, and published once that is possible") != all {
				t.Error("nobody said so")
			}
			if h := b.Health().Report(); h.Webhooks != nil {
				t.Errorf("the webhooks' health is %v", h.Webhooks)
			}
			tt.repair(out)
			natstest.Eventually(t, "the letters are there", func() bool {
				s, err := out.JS.Stream(t.Context(), "FACTRO_DEAD_ACME")
				return err == nil && s.CachedInfo().State.Msgs == all && len(waiting(t, srv)) == 0
			})
			var l deadletter.Entry // not always the last one: it may have been repaired while all were tried once more
			err := deadletter.List(t.Context(), bustest.Client(t, srv), "factro", deadletter.Filter{Cloud: "acme", ID: "4"}, func(found deadletter.Entry) error {
				l = found
				return nil
			})
			if err == nil { // the limit may have ended between the attempts to store all of it and a part
				l, err = deadletter.Original(t.Context(), bustest.Client(t, srv), "factro", l)
			}
			if err != nil || l.ID != "4" || l.Code != "refused" || string(l.Data) != `{"taskId":"4"}` || l.Partial {
				t.Errorf("the last letter is %+v, %v", l, err)
			}
		})
	}
}

// TestParkedResult: a result that its stream refuses again and again is parked with the command's letter, and both are
// published once the stream takes them.
func TestParkedResult(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b := newImpatient(t, srv)
	out := bustest.Connected(t, srv)
	b.recover(t, "acme")
	out.Seal("FACTRO_RESULTS_ACME")
	const subject = "factro.result.acme.task.deleteTask.rejected"
	handled := make(chan string, 10)
	p := bustest.Publisher(t, b.Conn)
	b.consume(t, worker{handle: func(ctx, _ context.Context, cmd events.Command, _ error) error {
		id := cmd.Event.ID()
		for {
			err := p.Publish(ctx, subject, bustest.TaskEvent(t, id+".rejected"), "acme."+id)
			if errors.Is(err, publish.ErrRefusing) {
				handled <- id
				return Pending(Terminal(deadletter.Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")}), subject, bustest.TaskEvent(t, id+".rejected"), "acme."+id, err)
			}
			if err == nil || ctx.Err() != nil {
				return errors.New("it was published")
			}
		}
	}})
	began := time.Now()
	out.Command("a")
	out.Command("b")
	natstest.Receive(t, handled)
	natstest.Receive(t, handled)
	if took := time.Since(began); took < refusing {
		t.Errorf("it was parked after %s: a change of leader takes longer", took)
	}
	natstest.Eventually(t, "both are settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
	if n := len(waiting(t, srv)); n != 2 || out.Count("FACTRO_DEAD_ACME") != 0 {
		t.Errorf("%d are parked", n)
	}
	for i, p := range waiting(t, srv) {
		if want := []string{"a", "b"}[i]; p.ID != want || p.Outcome != events.Rejected || p.Code != "refused" || p.Reason != "nein" ||
			!slices.Equal(p.Subjects, []string{subject, refusedLetter}) {
			t.Errorf("the client finds %+v", p)
		}
	}
	if h := b.Health().Report(); h.Commands == nil || h.Webhooks != nil {
		t.Errorf("the health is %+v", h)
	}
	if err := out.JS.DeleteStream(t.Context(), "FACTRO_RESULTS_ACME"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "results and letters are there", func() bool {
		s, err := out.JS.Stream(t.Context(), "FACTRO_RESULTS_ACME")
		return err == nil && s.CachedInfo().State.Msgs == 2 && out.Count("FACTRO_DEAD_ACME") == 2 && len(waiting(t, srv)) == 0
	})
}

// TestRequeued: what neither the stream nor the object store takes goes to the end of its queue, as the same command, and
// the others are carried out.
func TestRequeued(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	out := bustest.Connected(t, srv)
	noOriginals(t, out)
	makeLeases(t, bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))) // and the streams
	b := newImpatient(t, srv, func(c *bus.Config) { c.Manage = false; c.Carries = true })
	if _, err := out.JS.CreateConsumer(t.Context(), b.Settings().Prefix.CommandStream("acme"), b.Settings().Plan().Consumer("acme", 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	out.Limit("FACTRO_DEAD_ACME", 100)
	got := make(chan string, 1000)
	release := make(chan struct{})
	b.consume(t, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		<-release
		got <- cmd.Event.ID()
		if cmd.Event.ID() == "good" {
			return nil
		}
		return Terminal(deadletter.Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
	}})
	out.Command("bad")
	out.Command("good")
	close(release)
	calls := map[string]int{}
	for calls["good"] == 0 || calls["bad"] < 2 { // it comes again, under its own id
		calls[natstest.Receive(t, got)]++
	}
	if calls["good"] != 1 || len(calls) != 2 {
		t.Errorf("the commands were handled so often: %v", calls)
	}
	natstest.Eventually(t, "it waits alone", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 1 })
	if b.book.Count("at the end of its queue again") == 0 {
		t.Error("nobody said so")
	}
}

// TestAbandoned: a command that comes to no verdict for long is given up, its sender hears of it, and the next one comes.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b := newImpatient(t, srv)
	out := bustest.Connected(t, srv)
	abandoned := make(chan events.Command, 10)
	good := make(chan struct{})
	b.consume(t, reporter{abandoned, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		if cmd.Event.ID() == "good" {
			close(good)
			return nil
		}
		return errors.New("the record in the ledger is damaged")
	}}})
	out.Command("bad")
	out.Command("good")
	if cmd := natstest.Receive(t, abandoned); cmd.Event.ID() != "bad" {
		t.Errorf("the sender of %s was informed", cmd.Event.ID())
	}
	natstest.Receive(t, good)
	natstest.Eventually(t, "both are settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
	dead := out.Last("FACTRO_DEAD_ACME")
	if dead.Header.Get("Factro-Dead-Code") != events.CodeUndeliverable || !strings.Contains(dead.Header.Get("Factro-Dead-Reason"), "damaged") {
		t.Errorf("the letter is %v", dead.Header)
	}
}

type reporter struct {
	abandoned chan events.Command
	worker
}

func (w reporter) Undeliverable(_ context.Context, cmd events.Command, _, _ error) error {
	w.abandoned <- cmd
	return nil
}

func TestIsUndecided(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		verdict error
		want    bool
	}{
		"done":              {nil, false},
		"dead":              {Terminal(deadletter.Letter{Reason: errors.New("x")}), false},
		"later":             {RetryAfter(errors.New("x"), 0), false},
		"parked":            {&pending{why: publish.ErrRefusing}, false},
		"another bridge":    {fmt.Errorf("x: %w", ledger.ErrTaken), false},
		"no connection":     {bus.ErrNotConnected, false},
		"no answer":         {fmt.Errorf("ledger: %w", context.DeadlineExceeded), false},
		"no leader":         {&jetstream.APIError{Code: 503, ErrorCode: 10008}, false},
		"the ledger sealed": {&jetstream.APIError{Code: 400, ErrorCode: 10109}, false},
		"no room":           {&jetstream.APIError{Code: 500, ErrorCode: 10047}, false},
		"damaged":           {errors.New("x"), true},
		"refused for good":  {jetstream.ErrStreamMessageExceedsMaximum, true},
		"a new code":        {&jetstream.APIError{Code: 400, ErrorCode: 10999}, true},
	} {
		if got := isUndecided(tt.verdict); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}
