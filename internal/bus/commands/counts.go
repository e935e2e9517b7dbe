package commands

import (
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
)

// Concluder is a Worker that counts the commands whose final result is stored. The deliveries are held against it: a command
// that is neither concluded nor returned nor in flight is lost, and the metric factro.bridge.unaccounted shows it. Both sides
// count independently, so that a path that forgets one shows.
type Concluder interface {
	// Concluded counts deliveries that ended with a stored final result, repetitions included.
	Concluded() int64
}

// counts are how the deliveries to one worker ended.
type counts struct {
	concluder Concluder // nil if the worker does not count
	before    int64     // what it had concluded when this began
	cloud     metric.MeasurementOption

	mu                          sync.Mutex
	slots                       *slots.Slots // while this bridge works on the commands
	started, returned, inFlight int64
	without                     map[string]time.Time // the commands that had no verdict the last time, and since when
}

// limited notes the slots of the commands, nil while this bridge does not work on them.
func (c *counts) limited(all *slots.Slots) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots = all
}

// limit is how many may be carried out at once, 0 while another bridge works on them.
func (c *counts) limit() int64 {
	c.mu.Lock()
	all := c.slots
	c.mu.Unlock()
	if all == nil {
		return 0
	}
	return int64(all.Limit())
}

// undecided notes the verdict about a command, and says for how long the worker has had none for reasons that do not pass by
// themselves.
func (c *counts) undecided(position string, verdict error) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isUndecided(verdict) {
		delete(c.without, position)
		return -1
	}
	since, known := c.without[position]
	if !known {
		if c.without == nil || len(c.without) > index.Most { // of commands that others took out of the stream
			c.without = map[string]time.Time{}
		}
		since = time.Now()
		c.without[position] = since
	}
	return time.Since(since)
}

func (c *counts) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started++
	c.inFlight++
}

// finish counts a delivery as returned unless its verdict says that its result is published.
func (c *counts) finish(verdict error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	var end *terminal
	var wait *pending
	if verdict != nil && !errors.As(verdict, &end) || errors.As(verdict, &wait) {
		c.returned++
	}
}

// unaccounted is how many deliveries are neither concluded nor returned nor in flight. It is negative if there are more
// results than deliveries.
func (c *counts) unaccounted() int64 {
	if c.concluder == nil {
		return 0
	}
	c.mu.Lock() // so that nothing starts or finishes meanwhile; what is in flight may have its result or not
	defer c.mu.Unlock()
	switch rest := c.started - c.returned - (c.concluder.Concluded() - c.before); {
	case rest > c.inFlight:
		return rest - c.inFlight
	case rest < 0:
		return rest
	}
	return 0
}
