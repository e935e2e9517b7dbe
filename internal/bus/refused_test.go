package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	refusedCommand = "factro.command.acme.task.deleteTask"
	refusedLetter  = "factro.dead.command.acme.task.deleteTask"
)

// refuser is a worker that ends each command as a dead letter, and passes on what it got.
func refuser() (worker, <-chan string) {
	got := make(chan string, 1000)
	return worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Event.ID()
		return Terminal(Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
	}}, got
}

// sample asks for the health until the test ends, and wants it to be good.
func sample(t testing.TB, b *Conn) {
	t.Helper()
	var asked atomic.Int64
	start(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if h := b.Health(); h != (Health{}) {
				return fmt.Errorf("after %d looks the health is %+v", asked.Load(), h)
			}
			asked.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
		return nil
	})
}

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

// TestRefusedLetters: whatever a sender writes into a command, its dead letter is stored, the original is kept and can be
// sent again as it was, the next command comes, and the health is good throughout.
func TestRefusedLetters(t *testing.T) {
	t.Parallel()
	srv := startBroker(t, func(o *server.Options) { o.MaxPayload = 256 << 10 })
	b := run(t, srv.connect(t, quiet()))
	out := srv.outside(t)
	sample(t, b)
	client := dialTo(t, srv)
	w, got := refuser()
	consume(t, b, w)
	junk := func(n int) nats.Header { return nats.Header{"X-Junk": {strings.Repeat("j", n)}} }
	many := nats.Header{}
	for i := range 3265 {
		many[fmt.Sprintf("X-%04d", i)] = []string{"0123456789"}
	}
	attributes := nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {"c-1"}, "ce-source": {"urn:x"}, "ce-type": {"com.factro.command.deleteTask"},
		"ce-huge": {strings.Repeat("h", 65_000)},
	}
	correlated := maps.Clone(attributes)
	delete(correlated, "ce-huge")
	correlated["ce-correlationid"] = []string{strings.Repeat("k", 65_000)}
	binary := nats.Header{"X-Bytes": {"\xff\xfe" + strings.Repeat("ü", 32_600)}}
	n := 0
	for name, m := range map[string]*nats.Msg{
		"junk":                {Header: junk(65_300), Data: []byte("{}")},
		"junk to the limit":   {Header: junk(natserr.MaxHeader - natserr.HeaderSize(junk(0))), Data: []byte("{}")},
		"junk without data":   {Header: junk(65_300)},
		"many":                {Header: many, Data: []byte("{}")},
		"an extension":        {Header: attributes, Data: []byte(`{"taskId":"1"}`)},
		"a correlationid":     {Header: correlated, Data: []byte(`{"taskId":"1"}`)},
		"no text":             {Header: binary, Data: []byte("{}")},
		"data near the limit": {Header: junk(10), Data: []byte(strings.Repeat(" ", 256<<10-400) + "{}")},
		"both near the limit": {Header: junk(65_300), Data: []byte(strings.Repeat(" ", 190<<10) + "{}")},
		"a long subject":      {Header: junk(65_300), Subject: refusedCommand + "." + strings.Repeat("s.", 1500) + "s"},
	} {
		if m.Subject == "" {
			m.Subject = refusedCommand
		}
		sent := maps.Clone(m.Header)
		out.publish(m)
		receive(t, got)
		n++
		eventually(t, name+" is buried", func() bool {
			return out.count("FACTRO_DEAD_ACME") == uint64(n) && out.count("FACTRO_COMMANDS_ACME") == 0
		})
		l, err := client.DeadLetter(t.Context(), "factro", "acme", uint64(n))
		if err != nil {
			t.Fatal(err)
		}
		if l.Code != "refused" || l.Reason != "nein" || l.Position == "" || l.Original == "" || !l.Partial || l.Kept == "" {
			t.Errorf("%s: the letter is %.2000v", name, l)
		}
		whole, err := client.Original(t.Context(), "factro", l)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if have := whole.OriginalHeader(); string(whole.Data) != string(m.Data) || !maps.EqualFunc(have, sent, func(a, b []string) bool { return a[0] == b[0] }) {
			t.Errorf("%s: the original has %d headers and %d bytes, want %d and %d", name, len(have), len(whole.Data), len(sent), len(m.Data))
		}
		if whole.Partial || whole.Code != "refused" {
			t.Errorf("%s: the whole letter is %+v", name, whole)
		}
		if m.Subject != refusedCommand {
			continue // nobody sends that again
		}
		again, err := PrepareRedrive("factro", whole, nil, time.Now())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := client.Redrive(t.Context(), "factro", again); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		receive(t, got)
		n++
		eventually(t, name+" is buried again", func() bool {
			return out.count("FACTRO_DEAD_ACME") == uint64(n) && out.count("FACTRO_COMMANDS_ACME") == 0
		})
	}
}

// noOriginals has the object store for originals refuse all that is put into it.
func noOriginals(t testing.TB, out outside) {
	t.Helper()
	_, err := out.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "OBJ_FACTRO_ORIGINALS_ACME", Subjects: []string{"$O.FACTRO_ORIGINALS_ACME.>"}, MaxMsgSize: 10, AllowDirect: true, AllowRollup: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func dialTo(t testing.TB, srv *broker) *Client {
	t.Helper()
	c, err := Dial(srv.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestLetterWithoutOriginal: where the object store does not take the original either, a part of it is kept, and that is
// said.
func TestLetterWithoutOriginal(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	log, book := newLog()
	out := srv.outside(t)
	noOriginals(t, out)
	run(t, srv.connect(t, quiet())) // makes the streams
	b := run(t, srv.connect(t, log, func(c *Config) { c.Manage = false; c.Carries = true }))
	w, _ := refuser()
	if _, err := out.js.CreateConsumer(t.Context(), b.cfg.Prefix.CommandStream("acme"), b.cfg.Plan().Consumer("acme", b.ackWait)); err != nil {
		t.Fatal(err)
	}
	consume(t, b, w)
	out.publish(&nats.Msg{Subject: refusedCommand, Header: nats.Header{"X-Junk": {strings.Repeat("j", 65_300)}, "X-Own": {"kept"}}, Data: []byte("{}")})
	eventually(t, "it is buried", func() bool { return out.count("FACTRO_DEAD_ACME") == 1 && out.count("FACTRO_COMMANDS_ACME") == 0 })
	dead := out.last("FACTRO_DEAD_ACME")
	if dead.Header.Get("Factro-Dead-Original") != "" || dead.Header.Get("X-Own") != "kept" || dead.Header.Get("Factro-Dead-Cut") != "2" {
		t.Errorf("the letter is %v", dead.Header)
	}
	if book.count("only a part of it is kept") != 1 {
		t.Error("nobody said so")
	}
}

// limited makes the stream of dead letters take only small messages.
func limited(t testing.TB, out outside, stream string, most int32) {
	t.Helper()
	cfg := out.stream(stream).CachedInfo().Config
	cfg.MaxMsgSize = most
	if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func seal(t testing.TB, out outside, stream string) {
	t.Helper()
	cfg := out.stream(stream).CachedInfo().Config
	cfg.Sealed = true
	if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// impatientBus connects a bus that does not wait long for what is refused.
func impatientBus(t testing.TB, srv *broker, change ...any) (*Conn, *logbook) {
	t.Helper()
	log, book := newLog()
	b := srv.connect(t, log, change...)
	b.refusingAfter, b.recoverEvery = 300*time.Millisecond, 50*time.Millisecond
	return run(t, b), book
}

func (o outside) parked() int {
	o.t.Helper()
	store, err := o.js.ObjectStore(o.t.Context(), "FACTRO_ORIGINALS_ACME")
	if err != nil {
		return 0
	}
	names, err := pendingNames(o.t.Context(), store)
	if err != nil {
		o.t.Fatal(err)
	}
	return len(names)
}

// waiting is what a client finds parked.
func waiting(t *testing.T, srv *broker) (all []Parked) {
	t.Helper()
	err := dialTo(t, srv).Parked(t.Context(), "factro", "acme", func(p Parked) error {
		all = append(all, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestParkedOddly: what no bridge has parked is shown as far as it can be read, and keeps nothing else from being shown.
func TestParkedOddly(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	if all := waiting(t, srv); len(all) != 0 {
		t.Errorf("without a bucket %+v are parked", all)
	}
	run(t, srv.connect(t, quiet()))
	out := srv.outside(t)
	out.bytes("OBJ_FACTRO_ORIGINALS_ACME")
	store, err := out.js.ObjectStore(t.Context(), "FACTRO_ORIGINALS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"pending/20260301T120000.000000000/x": `{"subject":"factro.result.acme.task.createTask.applied","size":3}` + "\nabc",
		"pending/a":                           "unlesbar", "pending/b": `{"subject":"strange","size":0}` + "\n", "dead/1": "an original",
	} {
		if _, err := store.PutString(t.Context(), name, content); err != nil {
			t.Fatal(err)
		}
	}
	all := waiting(t, srv)
	if len(all) != 3 {
		t.Fatalf("it finds %+v", all)
	}
	if p := all[0]; p.Outcome != "applied" || p.Operation != "createTask" || p.Since.Hour() != 12 || p.Broken != nil {
		t.Errorf("a result that is none: %+v", p)
	}
	if p := all[1]; !errors.Is(p.Broken, errPacked) || p.Object != "pending/a" || !p.Since.IsZero() {
		t.Errorf("what cannot be read: %+v", p)
	}
	if p := all[2]; p.Broken != nil || !slices.Equal(p.Subjects, []string{"strange"}) {
		t.Errorf("a subject of nobody: %+v", p)
	}
}

// TestParked: a command whose letter its stream does not take is parked and holds up nobody, and its letter is published
// once the stream takes it.
func TestParked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refuse, mend func(outside)
		healthy      bool
	}{
		"a tiny limit": {
			refuse:  func(out outside) { limited(out.t, out, "FACTRO_DEAD_ACME", 100) },
			mend:    func(out outside) { limited(out.t, out, "FACTRO_DEAD_ACME", -1) },
			healthy: true, // each letter's own fault
		},
		"sealed": {
			refuse: func(out outside) { seal(out.t, out, "FACTRO_DEAD_ACME") },
			mend: func(out outside) {
				if err := out.js.DeleteStream(out.t.Context(), "FACTRO_DEAD_ACME"); err != nil { // it is made anew
					out.t.Fatal(err)
				}
			},
		},
		"no room in it": {
			refuse: func(out outside) {
				cfg := out.stream("FACTRO_DEAD_ACME").CachedInfo().Config
				cfg.Discard, cfg.MaxBytes = jetstream.DiscardNew, 10
				if _, err := out.js.UpdateStream(out.t.Context(), cfg); err != nil {
					out.t.Fatal(err)
				}
			},
			mend: func(out outside) {
				cfg := out.stream("FACTRO_DEAD_ACME").CachedInfo().Config
				cfg.MaxBytes = -1
				if _, err := out.js.UpdateStream(out.t.Context(), cfg); err != nil {
					out.t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := startBroker(t)
			b, book := impatientBus(t, srv)
			out := srv.outside(t)
			start(t, func(ctx context.Context) error { return b.Recover(ctx, []string{"acme", "beta"}) })
			w, got := refuser()
			consume(t, b, w)
			if tt.healthy {
				sample(t, b)
			}
			tt.refuse(out)
			const all = 5
			for i := range all {
				out.command(fmt.Sprint(i))
			}
			for seen, end := map[string]bool{}, time.Now().Add(patience); len(seen) < all; {
				if seen[receive(t, got)] = true; time.Now().After(end) {
					t.Fatalf("only %v came", seen)
				}
			}
			eventually(t, "all are settled", func() bool { return out.count("FACTRO_COMMANDS_ACME") == 0 })
			if n := out.parked(); n != all {
				t.Errorf("%d are parked, want %d", n, all)
			}
			if found := waiting(t, srv); len(found) != all {
				t.Errorf("the client finds %+v", found)
			} else if p := found[all-1]; p.ID != "4" || p.Operation != "deleteTask" || p.Code != "refused" || p.Outcome != "" || p.Position == "" ||
				time.Since(p.Since) > time.Minute || !slices.Equal(p.Subjects, []string{refusedLetter}) || p.Broken != nil {
				t.Errorf("the last one is %+v", p)
			}
			if book.count("it is parked, and published once that is possible") != all {
				t.Error("nobody said so")
			}
			if h := b.Health(); h.Webhooks != nil {
				t.Errorf("the webhooks' health is %v", h.Webhooks)
			}
			tt.mend(out)
			eventually(t, "the letters are there", func() bool {
				s, err := out.js.Stream(t.Context(), "FACTRO_DEAD_ACME")
				return err == nil && s.CachedInfo().State.Msgs == all && out.parked() == 0
			})
			var l DeadLetter // not always the last one: it may have been mended while all were tried once more
			err := dialTo(t, srv).DeadLetters(t.Context(), "factro", DeadFilter{Cloud: "acme", ID: "4"}, func(found DeadLetter) error {
				l = found
				return nil
			})
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
	srv := startBroker(t)
	b, _ := impatientBus(t, srv)
	out := srv.outside(t)
	start(t, func(ctx context.Context) error { return b.Recover(ctx, []string{"acme"}) })
	seal(t, out, "FACTRO_RESULTS_ACME")
	const subject = "factro.result.acme.task.deleteTask.rejected"
	handled := make(chan string, 10)
	consume(t, b, worker{handle: func(ctx, _ context.Context, cmd events.Command, _ error) error {
		id := cmd.Event.ID()
		for {
			err := b.Publish(ctx, subject, taskEvent(t, id+".rejected"), "acme."+id)
			if errors.Is(err, ErrRefusing) {
				handled <- id
				return Pending(Terminal(Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")}), subject, taskEvent(t, id+".rejected"), "acme."+id, err)
			}
			if err == nil || ctx.Err() != nil {
				return errors.New("it was published")
			}
		}
	}})
	began := time.Now()
	out.command("a")
	out.command("b")
	receive(t, handled)
	receive(t, handled)
	if took := time.Since(began); took < b.refusingAfter {
		t.Errorf("it was parked after %s: a change of leader takes longer", took)
	}
	eventually(t, "both are settled", func() bool { return out.count("FACTRO_COMMANDS_ACME") == 0 })
	if n := out.parked(); n != 2 || out.count("FACTRO_DEAD_ACME") != 0 {
		t.Errorf("%d are parked", n)
	}
	for i, p := range waiting(t, srv) {
		if want := []string{"a", "b"}[i]; p.ID != want || p.Outcome != events.Rejected || p.Code != "refused" || p.Reason != "nein" ||
			!slices.Equal(p.Subjects, []string{subject, refusedLetter}) {
			t.Errorf("the client finds %+v", p)
		}
	}
	if h := b.Health(); h.Commands == nil || h.Webhooks != nil {
		t.Errorf("the health is %+v", h)
	}
	if err := out.js.DeleteStream(t.Context(), "FACTRO_RESULTS_ACME"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "results and letters are there", func() bool {
		s, err := out.js.Stream(t.Context(), "FACTRO_RESULTS_ACME")
		return err == nil && s.CachedInfo().State.Msgs == 2 && out.count("FACTRO_DEAD_ACME") == 2 && out.parked() == 0
	})
}

// TestRequeued: what neither the stream nor the object store takes goes to the end of its queue, as the same command, and
// the others are carried out.
func TestRequeued(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	out := srv.outside(t)
	noOriginals(t, out)
	run(t, srv.connect(t, quiet())) // makes the streams
	b, book := impatientBus(t, srv, func(c *Config) { c.Manage = false; c.Carries = true })
	if _, err := out.js.CreateConsumer(t.Context(), b.cfg.Prefix.CommandStream("acme"), b.cfg.Plan().Consumer("acme", b.ackWait)); err != nil {
		t.Fatal(err)
	}
	limited(t, out, "FACTRO_DEAD_ACME", 100)
	got := make(chan string, 1000)
	release := make(chan struct{})
	consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		<-release
		got <- cmd.Event.ID()
		if cmd.Event.ID() == "good" {
			return nil
		}
		return Terminal(Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
	}})
	out.command("bad")
	out.command("good")
	close(release)
	for end := time.Now().Add(patience); receive(t, got) != "good"; {
		if time.Now().After(end) {
			t.Fatal("the other command does not come")
		}
	}
	if id := receive(t, got); id != "bad" { // it comes again, under its own id
		t.Errorf("%q comes", id)
	}
	eventually(t, "it waits alone", func() bool { return out.count("FACTRO_COMMANDS_ACME") == 1 })
	if book.count("at the end of its queue again") == 0 {
		t.Error("nobody said so")
	}
}

// TestAbandoned: a command that comes to no verdict for long is given up, its sender told, and the next one comes.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, _ := impatientBus(t, srv)
	out := srv.outside(t)
	told := make(chan events.Command, 10)
	good := make(chan struct{})
	consume(t, b, teller{told, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		if cmd.Event.ID() == "good" {
			close(good)
			return nil
		}
		return errors.New("the record in the ledger is damaged")
	}}})
	out.command("bad")
	out.command("good")
	if cmd := receive(t, told); cmd.Event.ID() != "bad" {
		t.Errorf("the sender of %s was told", cmd.Event.ID())
	}
	receive(t, good)
	eventually(t, "both are settled", func() bool { return out.count("FACTRO_COMMANDS_ACME") == 0 })
	dead := out.last("FACTRO_DEAD_ACME")
	if dead.Header.Get("Factro-Dead-Code") != events.CodeUndeliverable || !strings.Contains(dead.Header.Get("Factro-Dead-Reason"), "damaged") {
		t.Errorf("the letter is %v", dead.Header)
	}
}

type teller struct {
	told chan events.Command
	worker
}

func (w teller) Undeliverable(_ context.Context, cmd events.Command, _, _ error) error {
	w.told <- cmd
	return nil
}

func TestIsStuck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		verdict error
		want    bool
	}{
		"done":              {nil, false},
		"dead":              {Terminal(Letter{Reason: errors.New("x")}), false},
		"later":             {RetryAfter(errors.New("x"), 0), false},
		"parked":            {&pending{why: ErrRefusing}, false},
		"another bridge":    {fmt.Errorf("x: %w", ErrTaken), false},
		"no connection":     {ErrNotConnected, false},
		"no answer":         {fmt.Errorf("ledger: %w", context.DeadlineExceeded), false},
		"no leader":         {&jetstream.APIError{Code: 503, ErrorCode: 10008}, false},
		"the ledger sealed": {&jetstream.APIError{Code: 400, ErrorCode: 10109}, false},
		"no room":           {&jetstream.APIError{Code: 500, ErrorCode: 10047}, false},
		"damaged":           {errors.New("x"), true},
		"refused for good":  {jetstream.ErrStreamMessageExceedsMaximum, true},
		"a new code":        {&jetstream.APIError{Code: 400, ErrorCode: 10999}, true},
	} {
		if got := isStuck(tt.verdict); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
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

// TestQuarantineKept: a webhook that is no event and that no dead letter can hold is not cut silently.
func TestQuarantineKept(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b := run(t, srv.connect(t, quiet()))
	out := srv.outside(t)
	limited(t, out, "FACTRO_DEAD_ACME", 80<<10)
	body := strings.Repeat("kein JSON ", 20<<10)
	if err := b.Quarantine(t.Context(), "factro.dead.webhook.acme", "acme.dead.1", "unusable", errors.New("no"), []byte(body), nil); err != nil {
		t.Fatal(err)
	}
	client := dialTo(t, srv)
	l, err := client.DeadLetter(t.Context(), "factro", "acme", 1)
	if err != nil || !l.Partial || l.Size != len(body) || len(l.Data) == 0 {
		t.Fatalf("the letter is %+v, %v", l, err)
	}
	if whole, err := client.Original(t.Context(), "factro", l); err != nil || string(whole.Data) != body || whole.Kind != DeadWebhook {
		t.Errorf("the original is %d bytes, %v", len(whole.Data), err)
	}
	l.Kept = "pending/x"
	if _, err := client.Original(t.Context(), "factro", l); !errors.Is(err, ErrNoFile) {
		t.Errorf("any object of the bucket can be read: %v", err)
	}
}

// TestBareLetter: where not even the beginning of the original is taken, the letter says why it died and where the rest is.
func TestBareLetter(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b := run(t, srv.connect(t, quiet()))
	out := srv.outside(t)
	limited(t, out, "FACTRO_DEAD_ACME", 1200)
	w, _ := refuser()
	consume(t, b, w)
	data := strings.Repeat(" ", 10<<10) + `{"taskId":"1"}`
	out.publish(&nats.Msg{Subject: refusedCommand, Header: nats.Header{"Nats-Msg-Id": {"c-1"}}, Data: []byte(data)})
	eventually(t, "it is buried", func() bool { return out.count("FACTRO_DEAD_ACME") == 1 && out.count("FACTRO_COMMANDS_ACME") == 0 })
	client := dialTo(t, srv)
	l, err := client.DeadLetter(t.Context(), "factro", "acme", 1)
	if err != nil || len(l.Data) != 0 || l.Size != len(data) || l.Code != "refused" || l.Reason != "nein" || l.Position == "" || l.Original != refusedCommand || l.ID != "c-1" {
		t.Fatalf("the letter is %+v, %v", l, err)
	}
	if _, err := PrepareRedrive("factro", l, nil, time.Now()); !errors.Is(err, ErrStays) {
		t.Errorf("a letter without its original can be sent again: %v", err)
	}
	whole, err := client.Original(t.Context(), "factro", l)
	if err != nil || string(whole.Data) != data || whole.ID != "c-1" {
		t.Errorf("the original is %+v, %v", whole, err)
	}
}

func TestPack(t *testing.T) {
	t.Parallel()
	odd := &nats.Msg{Subject: "a", Header: nats.Header{"\xff": {"\xfe", ""}, "x": {"y"}}, Data: []byte("\n\x00{")}
	content, err := pack(packed{"1", odd}, packed{"", &nats.Msg{Subject: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := unpackAll(content)
	if err != nil || len(all) != 2 || all[0].id != "1" || all[1].msg.Subject != "b" {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := all[0].msg; fmt.Sprint(got.Header, string(got.Data), got.Subject) != fmt.Sprint(odd.Header, string(odd.Data), odd.Subject) {
		t.Errorf("it is %+v", got)
	}
	for _, bad := range []string{"x", "{}", "{\"size\":5}\nabc", "{\"size\":-1}\n", "{\"size\":99999999999}\n"} {
		if _, err := unpackAll(strings.NewReader(bad)); !errors.Is(err, errPacked) {
			t.Errorf("%q is %v", bad, err)
		}
	}
}
