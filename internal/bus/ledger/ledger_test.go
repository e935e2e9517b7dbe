package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestLedger(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := ledger.New(bustest.Running(t, server, bustest.Clouds("acme", "other")), bustest.Quiet())
	ctx := t.Context()
	const id = "Größe: ein Id. mit * und >\n"
	r := ledger.Record{Fingerprint: "f", StartedAt: time.Now().UTC()}

	known, _, err := b.Begin(ctx, "acme", id, r)
	if err != nil || known {
		t.Fatalf("the first Begin: known %v, %v", known, err)
	}
	known, have, err := b.Begin(ctx, "acme", id, ledger.Record{Fingerprint: "other"})
	if err != nil || !known || have.Fingerprint != "f" || have.Result != nil || !have.StartedAt.Equal(r.StartedAt) {
		t.Fatalf("the second Begin: known %v, %+v, %v", known, have, err)
	}
	if known, _, err := b.Begin(ctx, "other", id, r); err != nil || known {
		t.Errorf("another cloud: known %v, %v", known, err)
	}

	stale := have
	have.Result = json.RawMessage(`{"outcome":"applied"}`)
	r, err = b.Save(ctx, "acme", id, have)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Save(ctx, "acme", id, stale); !errors.Is(err, ledger.ErrTaken) {
		t.Errorf("who was overtaken may write: %v", err)
	}
	if err := b.Forget(ctx, "acme", id, stale); !errors.Is(err, ledger.ErrTaken) {
		t.Errorf("who was overtaken may forget: %v", err)
	}
	known, have, err = b.Begin(ctx, "acme", id, r)
	if err != nil || !known || string(have.Result) != string(r.Result) {
		t.Fatalf("after Save: known %v, %+v, %v", known, have, err)
	}

	for range 2 { // forgotten twice is forgotten
		if err := b.Forget(ctx, "acme", id, r); err != nil {
			t.Fatal(err)
		}
	}
	if known, _, err := b.Begin(ctx, "acme", id, r); err != nil || known {
		t.Errorf("after Forget: known %v, %v", known, err)
	}
}

func TestLedgerRace(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	ledgers := []*ledger.Ledger{
		ledger.New(bustest.Running(t, server), bustest.Quiet()), ledger.New(bustest.Running(t, server), bustest.Quiet()),
	}
	r := ledger.Record{Fingerprint: "f", StartedAt: time.Now()} // the same for all
	for _, id := range []string{"a", "b", "c"} {
		var first atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				known, _, err := ledgers[i%2].Begin(t.Context(), "acme", id, r)
				if err != nil {
					t.Error(err)
				}
				if !known {
					first.Add(1)
				}
			})
		}
		wg.Wait()
		if n := first.Load(); n != 1 {
			t.Errorf("%s: %d are first, want exactly one", id, n)
		}
	}
}

// lossy loses its first acknowledgements.
type lossy struct {
	jetstream.JetStream
	lose int
}

func (l *lossy) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := l.JetStream.PublishMsg(ctx, msg, opts...)
	if l.lose > 0 {
		l.lose--
		return nil, context.DeadlineExceeded
	}
	return ack, err
}

// lossyConn is a connection that loses acknowledgements.
type lossyConn struct {
	*bus.Conn
	js *lossy
}

func (c lossyConn) JetStream() jetstream.JetStream { return c.js }

// TestLedgerLostAcknowledgement: an entry that was written, but not confirmed, is ours and not that of another who may
// have made the call.
func TestLedgerLostAcknowledgement(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	losing := func(lose int) *ledger.Ledger {
		return ledger.New(lossyConn{conn, &lossy{conn.JetStream(), lose}}, bustest.Quiet())
	}
	r := ledger.Record{Fingerprint: "f", StartedAt: time.Now()}
	if known, _, err := losing(1).Begin(t.Context(), "acme", "a", r); err != nil || known {
		t.Errorf("known %v, %v", known, err)
	}
	r.StartedAt = r.StartedAt.Add(time.Second)
	if known, _, err := losing(1).Begin(t.Context(), "acme", "a", r); err != nil || !known {
		t.Errorf("somebody else's entry: known %v, %v", known, err)
	}
	if _, _, err := losing(100).Begin(t.Context(), "acme", "b", r); err == nil {
		t.Error("nothing was ever confirmed, and it says that all is well")
	}
}

func TestLedgerWhileAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	b := ledger.New(conn, bustest.Quiet())
	server.Stop()
	natstest.Eventually(t, "the outage is known", func() bool { return conn.Health().Ready() != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := b.Begin(ctx, "acme", "a", ledger.Record{}); err == nil {
		t.Error("written without a server")
	}
	if _, err := b.Save(ctx, "acme", "a", ledger.Record{}); err == nil {
		t.Error("written without a server")
	}
	done := make(chan error, 1)
	go func() { done <- b.Forget(t.Context(), "acme", "a", ledger.Record{}) }()
	server.Start()
	if err := natstest.Receive(t, done); err != nil {
		t.Error(err)
	}
}

// TestLedgerFull: in a full bucket the oldest records give way, and a command whose record did goes on.
func TestLedgerFull(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, js := server.Connect(t)
	bucket := topology.Of(topology.Ledger, "factro", "acme").StreamConfig
	bucket.MaxBytes = 20_000
	if _, err := js.CreateStream(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	b := ledger.New(bustest.Running(t, server), bustest.Quiet())
	_, first, err := b.Begin(t.Context(), "acme", "first", ledger.Record{Fingerprint: "f"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if known, _, err := b.Begin(t.Context(), "acme", fmt.Sprint(i), ledger.Record{Fingerprint: "f"}); err != nil || known {
			t.Fatalf("record %d: known %t, %v", i, known, err)
		}
	}
	if known, _, err := b.Look(t.Context(), "acme", "first"); err != nil || known {
		t.Fatalf("the bucket is not full: known %t, %v", known, err)
	}
	if _, err := b.Save(t.Context(), "acme", "first", first); err != nil {
		t.Error(err)
	}
	if known, _, err := b.Look(t.Context(), "acme", "first"); err != nil || !known {
		t.Errorf("known %t, %v", known, err)
	}
}

// TestClaim: an object has exactly one maker.
func TestClaim(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := ledger.New(bustest.Running(t, server, bustest.Clouds("acme", "other")), bustest.Quiet())
	for _, c := range []struct {
		id, command string
		mine        bool
	}{{"t-1", "a", true}, {"t-1", "b", false}, {"t-1", "a", true}, {"Größe * >", "b", true}} {
		if mine, err := b.Claim(t.Context(), "acme", "task", c.id, c.command); err != nil || mine != c.mine {
			t.Errorf("%s by %s: mine %t, %v", c.id, c.command, mine, err)
		}
	}
	began := time.Now().Add(-time.Minute)
	for i := range 3 {
		id := fmt.Sprint(i)
		_, r, err := b.Begin(t.Context(), "acme", id, ledger.Record{Fingerprint: "f"})
		if err != nil {
			t.Fatal(err)
		}
		r.Made = []string{"made-" + id}
		if _, err := b.Save(t.Context(), "acme", id, r); err != nil {
			t.Fatal(err)
		}
	}
	if made, err := b.Made(t.Context(), "acme", began); err != nil || len(made) != 3 || !made["made-2"] {
		t.Errorf("made are %v, %v", made, err)
	}
	if made, err := b.Made(t.Context(), "other", began); err != nil || len(made) != 0 {
		t.Errorf("made in another cloud are %v, %v", made, err)
	}
}

// TestMade: what commands have made is known as soon as it is written, by each bridge, also what an earlier time asks for, and when the
// ledger was deleted.
func TestMade(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, js := server.Connect(t)
	conn := bustest.Running(t, server, bustest.Clouds("acme"))
	one, other := ledger.New(conn, bustest.Quiet()), ledger.New(conn, bustest.Quiet())
	made := func(by *ledger.Ledger, id string) {
		t.Helper()
		_, r, err := by.Begin(t.Context(), "acme", id, ledger.Record{Fingerprint: "f"})
		if err != nil {
			t.Fatal(err)
		}
		r.Made = []string{"made-" + id}
		if _, err := by.Save(t.Context(), "acme", id, r); err != nil {
			t.Fatal(err)
		}
	}
	want := func(since time.Time, n int) {
		t.Helper()
		for _, l := range []*ledger.Ledger{one, other} {
			if made, err := l.Made(t.Context(), "acme", since); err != nil || len(made) != n {
				t.Errorf("made are %v, %v, want %d", made, err, n)
			}
		}
	}
	minute := time.Now().Add(-time.Minute)
	want(minute, 0)
	for n := range 20 {
		made([]*ledger.Ledger{one, other}[n%2], fmt.Sprint(n))
		want(minute, n+1)
	}
	want(time.Now().Add(-24*time.Hour), 20)
	want(minute, 20)
	want(time.Now().Add(time.Minute), 0)
	if err := js.DeleteStream(t.Context(), "KV_FACTRO_LEDGER_ACME"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the ledger is made again", func() bool {
		_, err := one.Made(t.Context(), "acme", minute)
		return err == nil
	})
	want(minute, 0)
	made(one, "again")
	want(minute, 1)
}

// TestTakeOver: after it no other bridge can finish a command that it has begun. What has a result, was never called, or is the owner's
// own stays as it is.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server, bustest.Clouds("acme"))
	one, other := ledger.New(conn, bustest.Quiet()), ledger.New(conn, bustest.Quiet())
	began := time.Now().UTC()
	begin := func(id string, r ledger.Record) ledger.Record {
		t.Helper()
		r.Fingerprint, r.StartedAt, r.CalledAt = "f", began, began
		_, r, err := one.Begin(t.Context(), "acme", id, r)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	finish := func(id string, r ledger.Record) error {
		t.Helper()
		r.Result, r.Made = []byte(`{}`), []string{"made-" + id}
		_, err := one.Save(t.Context(), "acme", id, r)
		return err
	}
	takeOver := func() {
		t.Helper()
		if err := other.TakeOver(t.Context(), "acme", "other", began.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	done := begin("done", ledger.Record{Owner: "one"})
	takeOver() // reads all of it, and the next time only what is new
	if err := finish("done", done); !errors.Is(err, ledger.ErrTaken) {
		t.Errorf("finished after it was taken over: %v", err)
	}
	called, open, own := begin("called", ledger.Record{Owner: "one"}), begin("open", ledger.Record{Owner: "one", Open: true}), begin("own", ledger.Record{Owner: "other"})
	finished, gone := begin("finished", ledger.Record{Owner: "one"}), begin("gone", ledger.Record{Owner: "one"})
	if err := finish("finished", finished); err != nil {
		t.Fatal(err)
	}
	if err := one.Forget(t.Context(), "acme", "gone", gone); err != nil {
		t.Fatal(err)
	}
	takeOver()
	takeOver()
	if err := finish("called", called); !errors.Is(err, ledger.ErrTaken) {
		t.Errorf("finished after it was taken over: %v", err)
	}
	for id, r := range map[string]ledger.Record{"open": open, "own": own} {
		if err := finish(id, r); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if known, _, err := one.Look(t.Context(), "acme", "gone"); known || err != nil {
		t.Errorf("a record that was deleted is there again: %v", err)
	}
	known, have, err := other.Look(t.Context(), "acme", "called")
	if err != nil || !known || have.Owner != "other" || !have.CalledAt.Equal(began) {
		t.Errorf("the record is %+v, %v", have, err)
	}
	if err := other.TakeOver(t.Context(), "acme", "third", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, have, err := other.Look(t.Context(), "acme", "called"); err != nil || have.Owner != "other" {
		t.Errorf("an older record was taken over: %+v, %v", have, err)
	}
}

// TestLedgerOfSources: one id of two sources are two records, and an earlier bridge's is found by the id alone.
func TestLedgerOfSources(t *testing.T) {
	t.Parallel()
	b := ledger.New(bustest.Running(t, natstest.Start(t), bustest.Clouds("acme", "beta")), bustest.Quiet())
	command := func(source string, plain bool) string {
		c, err := events.Prefix("factro").DecodeCommand("factro.command.acme.task.deleteTask", nats.Header{
			"ce-specversion": {"1.0"}, "ce-id": {"inv-1"}, "ce-source": {source}, "ce-type": {"com.factro.command.deleteTask"},
		}, nil, "")
		if c.Plain = plain; err != nil {
			t.Fatal(err)
		}
		return c.Identity()
	}
	begin := func(cloud, id string, r ledger.Record) bool {
		t.Helper()
		known, _, err := b.Begin(t.Context(), cloud, id, r)
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
	former := func(cloud string) (bool, ledger.Record) {
		t.Helper()
		known, have, err := b.LookFormer(t.Context(), cloud, "inv-1")
		if err != nil {
			t.Fatal(err)
		}
		return known, have
	}
	if begin("acme", command("urn:a", false), ledger.Record{Fingerprint: "a"}) || begin("acme", command("urn:b", false), ledger.Record{Fingerprint: "b"}) {
		t.Error("the second source is taken for the first")
	}
	if known, have := former("acme"); known {
		t.Errorf("taken for an earlier bridge's: %+v", have)
	}
	if begin("acme", command("urn:a", true), ledger.Record{Fingerprint: "p", Plain: true}) || !begin("acme", "inv-1", ledger.Record{}) {
		t.Error("a plain command's key is not made of its id alone")
	}
	if known, have := former("acme"); known {
		t.Errorf("a plain command's is taken for an earlier bridge's: %+v", have)
	}
	begin("beta", "inv-1", ledger.Record{Fingerprint: "old"})
	if known, have := former("beta"); !known || have.Fingerprint != "old" {
		t.Errorf("an earlier bridge's: %v, %+v", known, have)
	}
}

// TestTooLarge: a record that no message can hold.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := ledger.New(bustest.Running(t, natstest.Start(t, func(o *natsserver.Options) { o.MaxPayload = 4096 })), bustest.Quiet())
	_, r, err := b.Begin(t.Context(), "acme", "1", ledger.Record{Fingerprint: "f"})
	if err != nil {
		t.Fatal(err)
	}
	r.Result = []byte(`"` + strings.Repeat("x", 5000) + `"`)
	if _, err := b.Save(t.Context(), "acme", "1", r); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
