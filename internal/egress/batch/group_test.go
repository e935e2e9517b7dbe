package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestMeet: all that have not left are waited for, one of them acts for all, and all hear how it ended, as often as they meet.
func TestMeet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("failed")
		places := Places[int](5)
		var acts, last atomic.Int32
		var all sync.WaitGroup
		for i, p := range places {
			all.Go(func() {
				time.Sleep(time.Duration(5-i) * time.Second) //nolint:forbidigo // in a bubble
				if i == 4 {                                  // it does not come
					_ = p.Leave()
					return
				}
				for range 2 {
					err := p.Meet(t.Context(), i, func(all []int) error {
						acts.Add(1)
						if !slices.Equal(all, []int{0, 1, 2, 3}) {
							t.Errorf("there are %v", all)
						}
						return failed
					})
					if !errors.Is(err, failed) {
						t.Errorf("%d hears %v", i, err)
					}
				}
				for range 2 {
					if p.Leave() {
						last.Add(1)
					}
				}
			})
		}
		all.Wait()
		if acts.Load() != 2 || last.Load() != 1 {
			t.Errorf("%d acts, %d were the last one", acts.Load(), last.Load())
		}
	})
}

// TestMeetStops: nobody waits for others when the bridge stops, and nothing is done.
func TestMeetStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		places := Places[int](3)
		var all sync.WaitGroup
		for _, p := range places[:2] {
			all.Go(func() {
				defer p.Leave()
				err := p.Meet(ctx, 0, func([]int) error {
					t.Error("it is done")
					return nil
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		if !places[2].Leave() {
			t.Error("somebody is still there")
		}
	})
}

// TestLeaveEndsWait: the ones that wait go on when the last one that is not there leaves.
func TestLeaveEndsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		places := Places[int](2)
		met := make(chan error, 1)
		go func() { met <- places[0].Meet(t.Context(), 7, func([]int) error { return nil }) }()
		synctest.Wait()
		places[1].Leave()
		if err := <-met; err != nil {
			t.Error(err)
		}
	})
}
