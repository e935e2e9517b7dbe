package spool

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
)

// TestSpoolWaitsEndInTime: whatever a webhook waits for on its way to the disk, it waits no longer than its context allows,
// and is not on the disk afterwards. In each row NATS is away, so the disk is the only way.
func TestSpoolWaitsEndInTime(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(t *testing.T, s *Spool, repair func(), hangs *atomic.Bool){
		"the disk is opened again": func(t *testing.T, s *Spool, repair func(), _ *atomic.Bool) {
			t.Helper()
			opening(t, s, repair)
		},
		"the file system is silent": func(_ *testing.T, s *Spool, repair func(), hangs *atomic.Bool) {
			repair()
			s.disk.Repair(t.Context(), s.recount)
			hangs.Store(true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := away(t)
			var hangs atomic.Bool
			back := make(chan struct{})
			cfg := config(t.TempDir())
			repair := damage(t, cfg.Dir)
			s, err := open(t.Context(), cfg, b, bustest.Publisher(t, b), letters(t, b), bustest.Quiet(), func(string) (int64, error) {
				if hangs.Load() {
					<-back
				}
				return 1 << 40, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			hang(t, s, repair, &hangs)
			t.Cleanup(func() { close(back) })
			for range 2 {
				const most = 300 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), most)
				began := time.Now()
				_, _, err = s.Publish(ctx, task(1), taskEvent(t, "1"), "acme.1")
				cancel()
				if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, disk.ErrClosed) || took > most+2*time.Second {
					t.Errorf("%v after %s", err, took)
				}
			}
			if n := s.account.written.Load() + s.account.unsure.Load() + s.queues.waiting(); n != 0 {
				t.Errorf("%d are accounted as written, unsure or waiting", n)
			}
		})
	}
}

// TestObservationHoldsUpNobody: while the account is taken, a webhook is written, and the account does not count.
func TestObservationHoldsUpNobody(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	s := newSpool(t, b, config(t.TempDir()))
	if s.disk.Observe(t.Context(), func(disk.Content) { store(t, s, task(1), "1", true) }) {
		t.Error("a webhook was written meanwhile, and the account counts")
	}
	if _, miss, ok := s.balance(t.Context()); !ok || miss != 0 {
		t.Errorf("afterwards %d are missing, %v", miss, ok)
	}
}
