package slots

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fixed is a factro that always is the same.
type fixed struct {
	perMinute float64
	answer    time.Duration
}

func (f fixed) Pace() (float64, time.Duration) { return f.perMinute / 60, f.answer }

// TestLimit: the limit is raised as far as slow answers need it, and never for quick ones. One that is configured stays.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		limits Limits
		pacer  Pacer
		want   int
	}{
		{Limits{}, nil, 1},
		{Limits{8, 32}, nil, 8},
		{Limits{8, 32}, fixed{500, 0}, 8},
		{Limits{8, 32}, fixed{500, 50 * time.Millisecond}, 8},
		{Limits{8, 32}, fixed{500, 250 * time.Millisecond}, 8},
		{Limits{8, 32}, fixed{100_000, 250 * time.Millisecond}, 8},
		{Limits{8, 32}, fixed{500, 500 * time.Millisecond}, 8},
		{Limits{8, 32}, fixed{500, time.Second}, 13},
		{Limits{8, 32}, fixed{500, 2 * time.Second}, 23},
		{Limits{8, 32}, fixed{500, 20 * time.Second}, 32},
		{Limits{8, 32}, fixed{30, 2 * time.Second}, 8},
		{Limits{8, 0}, fixed{500, 2 * time.Second}, 8},
		{Limits{1, 0}, fixed{500, 2 * time.Second}, 1},
		{Limits{100, 0}, fixed{500, 50 * time.Millisecond}, 100},
	} {
		if got := New(test.limits, test.pacer).Limit(); got != test.want {
			t.Errorf("%+v at %+v: %d, want %d", test.limits, test.pacer, got, test.want)
		}
	}
}

// factro answers after a while, and lets so many calls through each second.
type factro struct {
	fixed
	tick *time.Ticker

	mu     sync.Mutex
	now    int
	most   int
	made   int
	answer time.Duration
}

func (f *factro) call() {
	f.mu.Lock()
	f.now++
	f.made++
	f.most = max(f.most, f.now)
	d := f.answer
	f.mu.Unlock()
	time.Sleep(d) //nolint:forbidigo // in a bubble
	f.mu.Lock()
	f.now--
	f.fixed.answer = d
	f.mu.Unlock()
}

func (f *factro) Pace() (float64, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fixed.Pace()
}

// TestUsesAll: whatever an answer takes and however long a command takes until it asks for its call, all calls that are allowed are
// made, and few commands wait for theirs.
func TestUsesAll(t *testing.T) {
	t.Parallel()
	for _, answer := range []time.Duration{50 * time.Millisecond, 250 * time.Millisecond, time.Second, 2 * time.Second} {
		for _, prepare := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s after %s", answer, prepare), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := &factro{fixed: fixed{perMinute: 500}, tick: time.NewTicker(time.Minute / 500), answer: answer}
					ctx, end := context.WithTimeout(t.Context(), 2*time.Minute)
					defer end()
					s := New(Limits{8, 32}, f)
					var all sync.WaitGroup
					waiting, most := 0, 0
					for {
						slot, err := s.Take(ctx)
						if err != nil {
							break
						}
						all.Go(func() {
							defer slot.End()
							ctx := slot.Begin(ctx)
							time.Sleep(prepare) //nolint:forbidigo // in a bubble
							has := Asks(ctx)
							f.mu.Lock()
							waiting++
							if f.made > 100 {
								most = max(most, waiting)
							}
							f.mu.Unlock()
							select {
							case <-f.tick.C:
							case <-ctx.Done():
								return
							}
							has()
							f.mu.Lock()
							waiting--
							f.mu.Unlock()
							f.call()
						})
					}
					all.Wait()
					if f.made < 985 || most > 7 {
						t.Errorf("%d calls in two minutes, %d waited for theirs at once", f.made, most)
					}
					if answer < slow && f.most > 8 {
						t.Errorf("%d calls at once", f.most)
					}
					if l := s.Load(); (l.One-prepare-answer).Abs() > (prepare+answer)/4 || l.Running != 0 { // the last ones made no call
						t.Errorf("a command is said to take %+v", l)
					}
					f.mu.Lock()
					f.fixed.answer = 50 * time.Millisecond
					f.mu.Unlock()
					if n := s.Limit(); n != 8 {
						t.Errorf("the limit is %d when answers are quick again", n)
					}
				})
			})
		}
	}
}

// TestEnds: a place that is given back without a call is free again, and who waits for one stops when it is over.
func TestEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Limits{Usual: 1}, fixed{500, time.Second})
		slot, err := s.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		take := func(ctx context.Context) {
			_, err := s.Take(ctx)
			got <- err
		}
		ctx, end := context.WithCancel(t.Context())
		go take(ctx)
		synctest.Wait()
		end()
		if err := <-got; err == nil {
			t.Error("a place is taken twice")
		}
		has := Asks(slot.Begin(t.Context()))
		has()
		has()
		go take(t.Context())
		synctest.Wait()
		slot.End()
		if err := <-got; err != nil {
			t.Error(err)
		}
		Asks(t.Context())() // what has no slot may ask as well
	})
}
