package egress

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// TestRepliesRefused: each is counted, and a sender cannot fill the log with them.
func TestRepliesRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, always(ok("{}")), func(c *Config) { c.Cloud = "refused-replies" })
		for range 5 {
			if r.w.replies.allow(t.Context(), "$JS.API.STREAM.PURGE.FACTRO_EVENTS", "c-1") {
				t.Error("allowed")
			}
		}
		time.Sleep(replyWarnEvery) //nolint:forbidigo // in a bubble of virtual time
		r.w.replies.allow(t.Context(), "other", "c-2")
		log := strings.Split(strings.TrimSpace(r.log.String()), "\n")
		if len(log) != 2 || !strings.Contains(log[1], `"not_logged":4`) {
			t.Errorf("logged %q", log)
		}
		if n := refusedReplies(t, "refused-replies"); n != 6 {
			t.Errorf("counted %d", n)
		}
	})
}

func refusedReplies(t *testing.T, cloud string) (n int64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if m.Name != "factro.bridge.replies.refused" || !ok {
				continue
			}
			for _, p := range sum.DataPoints {
				if v, _ := p.Attributes.Value(attribute.Key("factro.cloud")); v.AsString() == cloud {
					n = p.Value
				}
			}
		}
	}
	return n
}
