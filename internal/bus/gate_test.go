package bus

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestSpoolWaitsEndInTime: whatever a webhook waits for on its way to the disk, it waits no longer than its context allows,
// and is not on the disk afterwards. In each row NATS is away, so the disk is the only way.
func TestSpoolWaitsEndInTime(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(t *testing.T, s *Spool, hangs *atomic.Bool){
		"another opens the disk anew": func(t *testing.T, s *Spool, _ *atomic.Bool) {
			t.Helper()
			if err := s.disk.mu.Lock(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.disk.mu.Unlock)
		},
		"another wants to": func(t *testing.T, s *Spool, _ *atomic.Bool) {
			t.Helper()
			if err := s.disk.mu.RLock(t.Context()); err != nil { // a write that does not end
				t.Fatal(err)
			}
			t.Cleanup(s.disk.mu.RUnlock)
			locked := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { locked <- s.disk.mu.Lock(ctx) }()
			t.Cleanup(func() { cancel(); <-locked })
			eventually(t, "it is in line", func() bool { return !s.disk.mu.sem.TryAcquire(1) || release(s) })
		},
		"the file system is silent": func(_ *testing.T, _ *Spool, hangs *atomic.Bool) { hangs.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := away(t)
			var hangs atomic.Bool
			back := make(chan struct{})
			s, err := openSpool(t.Context(), spoolConfig(t.TempDir()), b, plainLetters{b}, quiet(), func(string) (int64, error) {
				if hangs.Load() {
					<-back
				}
				return 1 << 40, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			hang(t, s, &hangs)
			t.Cleanup(func() { close(back) })
			for range 2 {
				const most = 300 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), most)
				began := time.Now()
				_, _, err = s.Publish(ctx, subjectOf(1), taskEvent(t, "1"), "acme.1")
				cancel()
				if took := time.Since(began); err == nil || !errors.Is(err, context.DeadlineExceeded) || took > most+2*time.Second {
					t.Errorf("%v after %s", err, took)
				}
			}
			if n := s.written.Load() + s.unsure.Load() + s.waiting(); n != 0 {
				t.Errorf("%d are accounted as written, unsure or waiting", n)
			}
		})
	}
}

func release(s *Spool) bool { s.disk.mu.RUnlock(); return false }

// TestObservationHoldsUpNobody: while the account is taken, a webhook is written, and the account does not count.
func TestObservationHoldsUpNobody(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	s := spool(t, b, spoolConfig(t.TempDir()))
	alone := s.disk.mu.quiet(func() { store(t, s, subjectOf(1), "1", true) })
	if alone {
		t.Error("a webhook was written meanwhile, and the account counts")
	}
	if _, miss, ok := s.balance(t.Context()); !ok || miss != 0 {
		t.Errorf("afterwards %d are missing, %v", miss, ok)
	}
	if err := s.disk.mu.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.disk.mu.Unlock()
	if s.disk.mu.quiet(func() { t.Error("it looked while the disk was being opened") }) {
		t.Error("and it counts")
	}
}
