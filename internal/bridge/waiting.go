package bridge

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// countWithin bounds how long a scrape waits for the broker.
const countWithin = time.Second

// observeWaiting makes metrics of the commands that wait in lanes or for their time, until the returned function is called.
func observeWaiting(units map[string]*unit) (stop func(), err error) {
	build := instrument.New(scope)
	lanes := build.Gauge("factro.bridge.commands.lanes", "{lane}",
		"Lanes of a cloud's commands that do not simply go on: held by a dead letter, waiting for the next attempt at their first command, or cut, since they are so long that their end is left in the stream for now; of the bridge that works on them.")
	delayed := build.Gauge("factro.bridge.commands.delayed", "{command}", "Commands of a cloud that wait for their notbefore.")
	registered := build.Observe(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, countWithin)
		defer cancel()
		var all sync.WaitGroup
		var one sync.Mutex // observes at a time
		for name, u := range units {
			if u.worker == nil {
				continue
			}
			if n, works := u.queue.Lanes(name); works {
				one.Lock()
				for state, count := range map[string]int{"held": n.Held, "waiting": n.Waiting, "cut": n.Cut} {
					o.ObserveInt64(lanes, int64(count), metric.WithAttributes(measure.Cloud(name), attribute.String("state", state)))
				}
				one.Unlock()
			}
			all.Go(func() {
				if n, known := u.delayed.Count(ctx, name); known {
					one.Lock()
					defer one.Unlock()
					o.ObserveInt64(delayed, n, measure.CloudOption(name))
				}
			})
		}
		all.Wait()
		return nil
	})
	if err := build.Err(); err != nil {
		return nil, err
	}
	return func() { _ = registered.Unregister() }, nil // there is nothing left to observe, so its error tells nobody anything
}
