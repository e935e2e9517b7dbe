package tally

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
)

// Counts are how the deliveries to one worker ended.
type Counts struct {
	concluded func() int64 // nil if the worker does not count
	before    int64        // what it had concluded when this began
	cloud     metric.MeasurementOption
	waited    metric.Float64Histogram

	mu                          sync.Mutex
	limit                       func() int // nil while another bridge works on the commands
	started, returned, inFlight int64
	without                     map[string]time.Time // the commands that had no verdict the last time, and since when
}

// Limited reports how many commands may be carried out at once, as limit says, until end.
func (c *Counts) Limited(limit func() int) (end func()) {
	set := func(to func() int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.limit = to
	}
	set(limit)
	return func() { set(nil) }
}

// limited is how many may be carried out at once, 0 while another bridge works on them.
func (c *Counts) limited() int64 {
	c.mu.Lock()
	limit := c.limit
	c.mu.Unlock()
	if limit == nil {
		return 0
	}
	return int64(limit())
}

// Undecided notes whether a command had no verdict, and says for how long it has had none; -1 if it had one.
func (c *Counts) Undecided(position string, without bool) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !without {
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

// Waited records how long a command has waited for its first delivery.
func (c *Counts) Waited(ctx context.Context, d time.Duration) {
	c.waited.Record(ctx, max(d, 0).Seconds(), c.cloud)
}

// Start counts a delivery that is being handled from now on.
func (c *Counts) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started++
	c.inFlight++
}

// Finish counts its end. It is returned unless its result is published.
func (c *Counts) Finish(returned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	if returned {
		c.returned++
	}
}

// unaccounted is how many deliveries are neither concluded nor returned nor in flight. It is negative if there are more
// results than deliveries.
func (c *Counts) unaccounted() int64 {
	if c.concluded == nil {
		return 0
	}
	c.mu.Lock() // so that nothing starts or finishes meanwhile; what is in flight may have its result or not
	defer c.mu.Unlock()
	switch rest := c.started - c.returned - (c.concluded() - c.before); {
	case rest > c.inFlight:
		return rest - c.inFlight
	case rest < 0:
		return rest
	}
	return 0
}
