package lease_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// leases returns those of a bridge on a server.
func leases(t *testing.T, s *natstest.Server, options ...lease.Option) *lease.Leases {
	t.Helper()
	b := bustest.Running(t, s)
	return lease.New(b, bustest.Ensurer(b), bustest.Quiet(), options...)
}

// steal writes the entry of a lease without asking for it.
func steal(t *testing.T, s *natstest.Server, key, holder string) {
	t.Helper()
	_, js := s.Connect(t)
	kv, err := js.KeyValue(t.Context(), "FACTRO_RECONCILE")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), key, `{"holder":"`+holder+`"}`); err != nil {
		t.Fatal(err)
	}
}

// TestLease: one holder at a time, the next one gets what the last one kept.
func TestLease(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	one, two := leases(t, s), leases(t, s)
	first, err := one.Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if first.Value() != nil {
		t.Errorf("a new lease has the value %s", first.Value())
	}
	taken := make(chan *lease.Lease, 1)
	go func() {
		l, err := two.Acquire(t.Context(), "acme")
		if err != nil {
			t.Error(err)
		}
		taken <- l
	}()
	other, err := two.Acquire(t.Context(), "beta") // another key is another lease
	if err != nil {
		t.Fatal(err)
	}
	other.Release(t.Context())
	if err := first.Keep(t.Context(), json.RawMessage(`{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := first.Check(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-taken:
		t.Fatal("two have the lease")
	default:
	}
	first.Release(t.Context())
	second := <-taken
	if string(second.Value()) != `{"n":1}` {
		t.Errorf("the next holder got %s", second.Value())
	}
	second.Release(t.Context())
}

// TestLeaseOfADeadHolder: a lease that is not renewed is taken over, and what the old holder writes then is refused.
func TestLeaseOfADeadHolder(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ls := leases(t, s, lease.WithTTL(300*time.Millisecond))
	dead, err := ls.Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	lease.Freeze(dead) // it renews no more, as if the process stood still
	next, err := ls.Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release(t.Context())
	if err := next.Keep(t.Context(), json.RawMessage(`"new"`)); err != nil {
		t.Fatal(err)
	}
	if err := dead.Check(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("the old holder checks and gets %v", err)
	}
	if err := dead.Keep(t.Context(), json.RawMessage(`"old"`)); !errors.Is(err, lease.ErrLost) {
		t.Errorf("the old holder writes and gets %v", err)
	}
	dead.Release(t.Context()) // gives nothing back that is not its own
	if err := next.Check(t.Context()); err != nil || string(next.Value()) != `"new"` {
		t.Errorf("the new holder has %s, %v", next.Value(), err)
	}
}

// TestLeaseIsRenewed: a holder keeps the lease for longer than it holds by itself, also over an outage of the broker.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ls := leases(t, s, lease.WithTTL(10*time.Second))
	l, err := ls.Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	before := lease.Revision(l)
	s.Stop()
	s.Start()
	if err := l.Keep(t.Context(), json.RawMessage(`"after the outage"`)); err != nil {
		t.Fatal(err)
	}
	if after := lease.Revision(l); after <= before {
		t.Errorf("the revision went from %d to %d", before, after)
	}
	steal(t, s, "acme", "somebody")
	if err := l.Keep(t.Context(), nil); !errors.Is(err, lease.ErrLost) {
		t.Errorf("a stolen lease is kept: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := leases(t, s, lease.WithTTL(time.Minute)).Acquire(ctx, "acme"); err == nil {
		t.Error("who stopped waiting got the lease of another")
	}
	l.Release(t.Context())
}

// TestLeaseRefused: an entry that the broker never takes is an error, and not a wait without end.
func TestLeaseRefused(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ls := leases(t, s)
	l, err := ls.Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release(t.Context())
	limit(t, s, 500)
	if err := l.Keep(t.Context(), []byte(`"`+strings.Repeat("x", 1000)+`"`)); natserr.Of(err) != natserr.Permanent {
		t.Errorf("a value that is too large: %v", err)
	}
	if err := l.Keep(t.Context(), []byte(`"x"`)); err != nil {
		t.Errorf("the lease is lost for it: %v", err)
	}
	limit(t, s, 10)
	if _, err := ls.Acquire(t.Context(), "beta"); natserr.Of(err) != natserr.Permanent {
		t.Errorf("a lease that cannot be written: %v", err)
	}
}

// limit bounds the messages of the bucket.
func limit(t *testing.T, s *natstest.Server, bytes int32) {
	t.Helper()
	_, js := s.Connect(t)
	bucket, err := js.Stream(t.Context(), "KV_FACTRO_RECONCILE")
	if err != nil {
		t.Fatal(err)
	}
	cfg := bucket.CachedInfo().Config
	cfg.MaxMsgSize = bytes
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}
