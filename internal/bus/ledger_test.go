package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

func TestLedger(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet(), clouds("acme", "other")))
	ctx := t.Context()
	const id = "Größe: ein Id. mit * und >\n"
	r := Record{Fingerprint: "f", StartedAt: time.Now().UTC()}

	known, _, err := b.Begin(ctx, "acme", id, r)
	if err != nil || known {
		t.Fatalf("the first Begin: known %v, %v", known, err)
	}
	known, have, err := b.Begin(ctx, "acme", id, Record{Fingerprint: "other"})
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
	if _, err := b.Save(ctx, "acme", id, stale); !errors.Is(err, ErrTaken) {
		t.Errorf("who was overtaken may write: %v", err)
	}
	if err := b.Forget(ctx, "acme", id, stale); !errors.Is(err, ErrTaken) {
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
	server := startBroker(t)
	buses := []*Conn{run(t, server.connect(t, quiet())), run(t, server.connect(t, quiet()))}
	r := Record{Fingerprint: "f", StartedAt: time.Now()} // the same for all
	for _, id := range []string{"a", "b", "c"} {
		var first atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				known, _, err := buses[i%2].Begin(t.Context(), "acme", id, r)
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

// TestLedgerLostAcknowledgement: an entry that was written, but not confirmed, is ours and not that of another who may
// have made the call.
func TestLedgerLostAcknowledgement(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	kv, err := b.ledger(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	b.ledgers["acme"] = bucketStore{b, &lossy{b.js, 1}, kv.bucket}
	r := Record{Fingerprint: "f", StartedAt: time.Now()}
	if known, _, err := b.Begin(t.Context(), "acme", "a", r); err != nil || known {
		t.Errorf("known %v, %v", known, err)
	}
	b.ledgers["acme"] = bucketStore{b, &lossy{b.js, 1}, kv.bucket}
	r.StartedAt = r.StartedAt.Add(time.Second)
	if known, _, err := b.Begin(t.Context(), "acme", "a", r); err != nil || !known {
		t.Errorf("somebody else's entry: known %v, %v", known, err)
	}
	b.ledgers["acme"] = bucketStore{b, &lossy{b.js, 100}, kv.bucket}
	if _, _, err := b.Begin(t.Context(), "acme", "b", r); err == nil {
		t.Error("nothing was ever confirmed, and it says that all is well")
	}
}

func TestLedgerWhileAway(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	server.stop()
	eventually(t, "the outage is known", func() bool { return b.Ready() != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := b.Begin(ctx, "acme", "a", Record{}); err == nil {
		t.Error("written without a server")
	}
	if _, err := b.Save(ctx, "acme", "a", Record{}); err == nil {
		t.Error("written without a server")
	}
	done := make(chan error, 1)
	go func() { done <- b.Forget(t.Context(), "acme", "a", Record{}) }()
	server.start()
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
}

// TestLedgerFull: in a full bucket the oldest records give way, and a command whose record did goes on.
func TestLedgerFull(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	out := server.outside(t)
	ledger := topology.Of(topology.Ledger, "factro", "acme").StreamConfig
	ledger.MaxBytes = 20_000
	if _, err := out.js.CreateStream(t.Context(), ledger); err != nil {
		t.Fatal(err)
	}
	b := run(t, server.connect(t, quiet()))
	_, first, err := b.Begin(t.Context(), "acme", "first", Record{Fingerprint: "f"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if known, _, err := b.Begin(t.Context(), "acme", fmt.Sprint(i), Record{Fingerprint: "f"}); err != nil || known {
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
	server := startBroker(t)
	b := run(t, server.connect(t, quiet(), clouds("acme", "other")))
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
		_, r, err := b.Begin(t.Context(), "acme", id, Record{Fingerprint: "f"})
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
