package embedded

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSpaceAsksOnce: a file system that hangs is asked once, however many want to know.
func TestSpaceAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		back := make(chan struct{})
		l := NewSpace(func(string) (int64, error) { asked.Add(1); <-back; return 7, nil })
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := l.Of(ctx, "d"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		close(back)
		synctest.Wait()
		if n, err := l.Of(t.Context(), "d"); n != 7 || err != nil {
			t.Errorf("afterwards: %d, %v", n, err)
		}
	})
}
