package chaos

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// TestBrokerAway has all webhooks answered with 202 at once while NATS is away: nobody has to send one again.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	t.Run("NATS away at 200 webhooks/s", func(t *testing.T) {
		t.Parallel()
		w, seconds := begin(t, setting{roles: "ingress", spool: true}, 10, 300)
		w.hooks.start(200, 200*seconds)
		w.disturb(w.nats.Kill, time.Duration(seconds)*time.Second, w.startNATS)
		w.settle()
		again := 0
		for status, n := range w.hooks.statuses {
			if status != http.StatusAccepted {
				again += n
			}
		}
		if again > 0 {
			t.Errorf("%d webhooks were not answered with 202 at once: %v", again, w.hooks.statuses)
		}
		w.finish(fmt.Sprintf("NATS away for %d s at 200 webhooks/s", seconds), 40, 1)
	})
}

// TestFullSpool has webhooks refused when there is no room left, with a time to come again, and none of the others lost.
func TestFullSpool(t *testing.T) {
	t.Parallel()
	t.Run("spool full", func(t *testing.T) {
		t.Parallel()
		w, times := begin(t, setting{roles: "ingress", config: "spool: {dir: $dir/spool, max_bytes: 16MiB}\n"}, 1, 5)
		w.hooks.padding = strings.Repeat(" und weiter", 20_000)
		stop := w.hooks.start(40, 0)
		for range times {
			hints := w.hooks.hinted()
			w.disturb(func() { w.broker.set(link{cut: true}) }, 0, func() error {
				err := await(w.ctx, "webhooks are refused for a while", func() bool { return w.hooks.hinted() > hints+10 })
				w.broker.set(link{})
				return err
			})
			was := w.hooks.count()
			must(t, await(w.ctx, "webhooks are taken again", func() bool { return w.hooks.count() > was+20 }))
		}
		stop()
		w.finish("NATS away until the spool is full", 41, times)
	})
}

// hinted is how many webhooks were refused with a time to come again.
func (s *sender) hinted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hints
}

// TestReconcile has factro deliver badly, and reconciliation bring the stream to exactly factro's log.
func TestReconcile(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		name string
		sim  []string
		ids  bool
	}{
		{"30 % of deliveries lost, 20 % twice, 20 % overtaken", []string{"wide=true", "loss=0.3", "duplicates=0.2", "reorder=0.2"}, true},
		{"30 % of deliveries lost, no ids in the bodies", []string{"loss=0.3"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var flags []string
			for _, d := range c.sim {
				flags = append(flags, "--delivery", d)
			}
			w, times := begin(t, setting{
				roles: "ingress", fires: true, sim: flags, config: "reconcile: {grace: 0s}\n",
			}, 300, 5000)
			w.fire(times)
			log := w.delivered()
			w.reconcile()
			r := w.compare(log, c.ids)
			r.fault, r.runs, r.order, r.failed = c.name, times, 50+i, t.Failed()
			table.add(r)
		})
	}
}

// fire lets things happen at the simulated factro: each entity has the same action some times.
func (w *world) fire(times int) {
	w.t.Helper()
	entities := make([]string, max(1, times/5))
	for i := range entities {
		entities[i] = uuid.NewString()
	}
	for range times {
		body := fmt.Sprintf(`{"action":"TaskStateChanged","entityId":%q}`, entities[w.rng.IntN(len(entities))])
		req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "http://"+w.core.aimed()+"/_sim/fire", strings.NewReader(body))
		must(w.t, err)
		resp, err := w.hooks.client.Do(req)
		must(w.t, err)
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			w.t.Fatalf("fire: %s, %v", resp.Status, err)
		}
	}
}

// payload is what factro reports about a delivery.
type payload struct {
	ID, Action, DeliveryStatus string
	Context                    struct{ EntityID string }
}

// delivered waits until factro has no delivery under way and returns its log.
func (w *world) delivered() (log []payload) {
	w.t.Helper()
	must(w.t, await(w.ctx, "factro has made its deliveries", func() bool {
		since := time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
		req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://"+w.core.aimed()+"/api/core/webhook/payload/"+since, http.NoBody)
		must(w.t, err)
		req.Header.Set("Authorization", apiKey)
		resp, err := w.hooks.client.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		log = nil
		if json.NewDecoder(resp.Body).Decode(&log) != nil {
			return false
		}
		for _, p := range log {
			if p.DeliveryStatus == "pending" {
				return false
			}
		}
		return len(log) > 0
	}))
	return log
}

// reconcile runs the command, twice: the second time there must be nothing left to do.
func (w *world) reconcile() {
	w.t.Helper()
	for run := range 2 {
		cmd := exec.CommandContext(w.ctx, *bridge, "reconcile", "--config", filepath.Join(w.dir, "bridge-0.yaml"), "--cloud", cloud, "--since", "1h", "--json")
		out, err := cmd.Output()
		if err != nil {
			w.t.Fatalf("bridge reconcile: %v\n%s", err, out)
		}
		var report struct{ Records, Missing, Published int }
		must(w.t, json.Unmarshal(out, &report))
		w.t.Logf("reconcile: %d records, %d missing, %d published", report.Records, report.Missing, report.Published)
		if run == 1 && report.Missing > 0 {
			w.t.Errorf("the second run still finds %d missing", report.Missing)
		}
	}
}

// compare holds the stream against factro's log: by id where the deliveries have one, else by how often each entity is
// there.
func (w *world) compare(log []payload, ids bool) (r row) {
	w.t.Helper()
	want, have := map[string]int{}, map[string]int{}
	for _, p := range log {
		key := p.Context.EntityID
		if ids {
			key += " " + p.ID
		}
		want[key]++
		r.webhooks++
	}
	must(w.t, w.books.each(w.ctx, prefix.EventStream("acme"), func(msg jetstream.Msg, _ *jetstream.MsgMetadata) error {
		var p payload
		if err := json.Unmarshal(msg.Data(), &p); err != nil || p.Context.EntityID == "" {
			return err // the bridge's own words about gaps have no entity
		}
		key := p.Context.EntityID
		if ids {
			key += " " + msg.Headers().Get("ce-id")
		}
		have[key]++
		return nil
	}))
	for key, n := range want {
		r.stored += min(n, have[key])
		r.twice += max(0, have[key]-n)
	}
	for _, p := range log {
		if p.DeliveryStatus == "delivered" {
			r.acked++
		}
	}
	if !maps.Equal(want, have) {
		w.t.Errorf("the stream has %d of factro's %d events, and %d too many", r.stored, r.webhooks, r.twice)
	}
	return r
}
