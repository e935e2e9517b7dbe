package embedded

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestRecoveryGivesUp: a fault that restarts do not fix fails liveness after a bounded time, and one that is gone is
// forgotten. The attempts come ever less often.
func TestRecoveryGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		attempt := func(fault error) (due bool) {
			if due = s.recovery.due(fault, time.Now()); due {
				s.recovery.attempts, s.recovery.last = s.recovery.attempts+1, time.Now()
			}
			return due
		}
		fault := errors.New("too many open files")
		var at []time.Duration
		began := time.Now()
		for time.Since(began) < hopelessFrom {
			if s.Alive() != nil {
				t.Fatalf("not alive after %s", time.Since(began))
			}
			if attempt(fault) {
				at = append(at, time.Since(began).Round(time.Second))
			}
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		}
		if got := fmt.Sprint(at); got != "[0s 10s 30s 1m10s]" {
			t.Errorf("attempts at %s", got)
		}
		if err := s.Alive(); !errors.Is(err, fault) {
			t.Errorf("after %s: %v", hopelessFrom, err)
		}
		for range int(healthyAfter/time.Second) + 1 {
			attempt(nil)
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		}
		if err := s.Alive(); err != nil {
			t.Errorf("mended, but %v", err)
		}
	})
}
