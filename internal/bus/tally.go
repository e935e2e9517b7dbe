package bus

import (
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Concluder is a Worker that counts the commands whose final result is stored. What was taken from the broker is held
// against it: a command that is neither concluded nor given back nor in hand is lost, and the metric
// factro.bridge.unaccounted shows it. Both sides count at places of their own, so that a path that forgets one shows.
type Concluder interface {
	// Concluded counts deliveries that ended with a stored final result, repetitions of it included.
	Concluded() int64
}

// tally counts what became of the deliveries to one worker.
type tally struct {
	w     Worker
	cloud metric.MeasurementOption

	mu                      sync.Mutex
	taken, returned, inHand int64
	position                string    // of the command that came without a verdict the last time
	since                   time.Time // since when it does
}

// stuck notes the verdict about a command, and says for how long the worker has had none for reasons that do not pass by
// themselves. A cloud's commands come one at a time, so to remember one is enough.
func (t *tally) stuck(position string, verdict error) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !isStuck(verdict):
		t.position = ""
		return -1
	case t.position != position:
		t.position, t.since = position, time.Now()
	}
	return time.Since(t.since)
}

func (t *tally) take() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken++
	t.inHand++
}

// leave counts a delivery as given back unless its verdict says that its result is told.
func (t *tally) leave(verdict error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inHand--
	var end *terminal
	var wait *pending
	if verdict != nil && !errors.As(verdict, &end) || errors.As(verdict, &wait) {
		t.returned++
	}
}

// unaccounted is how many deliveries are neither concluded nor given back nor in hand. It is negative if there are more
// results than deliveries.
func (t *tally) unaccounted() int64 {
	c, counts := t.w.(Concluder)
	if !counts {
		return 0
	}
	t.mu.Lock() // nothing is taken or left meanwhile; what is in hand may have its result or not
	defer t.mu.Unlock()
	switch rest := t.taken - t.returned - c.Concluded(); {
	case rest > t.inHand:
		return rest - t.inHand
	case rest < 0:
		return rest
	}
	return 0
}
