package tests

import (
	"fmt"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Two clouds with one API key work off their commands in the time that factro's budget allows for both together. Nothing is
// refused, and each window is used.
func TestSharedBudget(t *testing.T) {
	t.Parallel()
	for name, variants := range map[string]sim.Variants{
		"by key": {}, "by address, rounded down": {LimitByAddress: true, ResetDown: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const quota, window, each = 40, 4 * time.Second, 50
			n := natstest.Start(t)
			f := startFactro(t, sim.Config{Quota: quota, Window: window, Variants: variants})
			clouds := []string{"acme", "beta"}
			b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{clouds[0]: f.url, clouds[1]: f.url}}).start()
			_, js := n.Connect(t)
			began := time.Now()
			for i := range each {
				for _, cloud := range clouds {
					id := fmt.Sprintf("%s-%d", cloud, i)
					send(t, js, cloud, "createTask", id, newTask(f, id))
				}
			}
			for _, cloud := range clouds {
				results := watchStream(t, js, prefix.ResultStream(cloud))
				for i := range each {
					if r := results.finalOf(t, fmt.Sprintf("%s-%d", cloud, i)); r.Outcome != events.Applied || r.Attempts != 1 {
						t.Errorf("got %+v, want applied at the first attempt", r)
					}
				}
			}
			took, all, refused := time.Since(began), 0, 0
			windows := f.Windows()
			for i, w := range windows {
				all += w.Requests
				refused += w.Refused
				if full := w.Requests > quota*3/4; !full && i < len(windows)-1 {
					t.Errorf("window %d has %d requests of %d", i, w.Requests, quota)
				}
			}
			if least := time.Duration(2*each/quota) * window; refused > 0 || all < 2*each || took < least-window/4 {
				t.Errorf("%d requests in %s, %d refused; want %d and none refused: %+v", all, took, refused, 2*each, windows)
			}
			kind := "key"
			if variants.LimitByAddress {
				kind = "address"
			}
			for _, cloud := range clouds {
				if v := b.metric(fmt.Sprintf(`factro_bridge_api_budget_partition{factro_cloud=%q,partition=%q}`, cloud, kind)); v != "1" {
					t.Errorf("the gauge of %s for %s is %q", cloud, kind, v)
				}
			}
			t.Logf("%d requests in %s: %+v", all, took, windows)
		})
	}
}
