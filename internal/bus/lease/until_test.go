package lease_test

import (
	"errors"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// short is the TTL of the leases that other processes take over quickly.
const short = 6 * time.Second

// next acquires a lease of somebody else in the background, and reports when it has it.
func next(t *testing.T, ls *lease.Leases, key string) <-chan time.Time {
	t.Helper()
	taken := make(chan time.Time, 1)
	go func() {
		if _, err := ls.Acquire(t.Context(), key); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		taken <- time.Now()
	}()
	return taken
}

// TestUntil: the holder may act for less than the TTL after each renewal, and no longer when it was not renewed in time, is lost
// to another, or was given back.
func TestUntil(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	const ttl = 3 * time.Second
	ls := leases(t, s, lease.WithTTL(ttl))
	began := time.Now()
	l, err := ls.Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	first := l.Until()
	if first.Before(began.Add(ttl/2)) || !first.Before(time.Now().Add(ttl)) {
		t.Errorf("a lease of %s may be used for %s", ttl, first.Sub(began))
	}
	natstest.Eventually(t, "the lease is renewed", func() bool { return l.Until().After(first) })
	lease.Freeze(l) // as if the process stood still
	last := l.Until()
	<-l.Lost()
	if time.Now().Before(last) {
		t.Error("it is lost before it is over")
	}
	if time.Now().Before(l.Until()) || !errors.Is(l.Check(t.Context()), lease.ErrLost) {
		t.Error("it may be used after it was not renewed")
	}

	l, err = ls.Acquire(t.Context(), "beta")
	if err != nil {
		t.Fatal(err)
	}
	steal(t, s, "beta", "somebody")
	<-l.Lost()
	if !l.Until().IsZero() {
		t.Error("it may be used after it was lost to another")
	}

	l, err = ls.Acquire(t.Context(), "gamma")
	if err != nil {
		t.Fatal(err)
	}
	l.Release(t.Context())
	select {
	case <-l.Lost():
		t.Error("a lease that was given back is lost")
	default:
	}
	if !l.Until().IsZero() {
		t.Error("it may be used after it was given back")
	}
}

// TestUntilDoesNotWait: Until answers at once while a renewal waits for the broker, and the lease ends in time.
func TestUntilDoesNotWait(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	l, err := leases(t, s, lease.WithTTL(2*time.Second)).Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	go func() { _ = l.Keep(t.Context(), nil) }()
	var longest time.Duration
	for lost := false; !lost; {
		began := time.Now()
		l.Until()
		longest = max(longest, time.Since(began))
		select {
		case <-l.Lost():
			lost = true
		case <-time.After(time.Millisecond):
		}
	}
	if longest > time.Second {
		t.Errorf("Until took %s", longest)
	}
}

// TestTakeoverTimes: one who waits has a released lease within a second, and that of a dead holder within two after the TTL.
// Until is over before that.
func TestTakeoverTimes(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	one, two := leases(t, s, lease.WithTTL(short)), leases(t, s, lease.WithTTL(short))
	released, err := one.Acquire(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := one.Acquire(t.Context(), "beta")
	if err != nil {
		t.Fatal(err)
	}
	a, b := next(t, two, "acme"), next(t, two, "beta")
	select {
	case <-a:
		t.Fatal("two have the lease")
	case <-b:
		t.Fatal("two have the lease")
	case <-time.After(short + time.Second): // longer than the TTL: both were renewed
	}
	before := time.Now()
	released.Release(t.Context())
	if took := (<-a).Sub(before); took > time.Second {
		t.Errorf("a released lease was taken after %s", took)
	}
	lease.Freeze(dead)
	before = time.Now()
	until := dead.Until()
	at := <-b
	if took := at.Sub(before); took > short+2*time.Second {
		t.Errorf("the lease of a dead holder was taken after %s", took)
	}
	if !until.Before(at) {
		t.Errorf("the dead holder might have acted for %s after another had the lease", until.Sub(at))
	}
}
