package ingress

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// drift notices that factro sends what its description does not have. Nothing is refused for that: it is counted, and
// now and then one case is logged, so that somebody brings the description up to date.
type drift struct {
	known   map[string]bool
	unknown metric.Int64Counter
	log     *slog.Logger

	mu      sync.Mutex
	next    time.Time // no sample is logged before
	skipped int       // since the last sample
}

// sampleEvery is how often a case is logged. All are counted.
const sampleEvery = 10 * time.Minute

func newDrift(actions []string, log *slog.Logger) (*drift, error) {
	d := &drift{known: map[string]bool{}, log: log}
	for _, name := range actions {
		d.known[name] = true
	}
	var err error
	d.unknown, err = otel.Meter(scope).Int64Counter("factro.bridge.webhooks.unknown", metric.WithUnit("{webhook}"),
		metric.WithDescription("Webhooks with an action, or a key at the top, that the description of factro does not have."))
	return d, err
}

func (d *drift) look(ctx context.Context, cloud string, e translate.Event) {
	newAction := !d.known[e.Action]
	if !newAction && len(e.NewKeys) == 0 {
		return
	}
	// The names themselves are no labels: there may be any number of them.
	for what, is := range map[string]bool{"action": newAction, "key": len(e.NewKeys) > 0} {
		if is {
			d.unknown.Add(ctx, 1, metric.WithAttributes(attribute.String("factro.cloud", cloud), attribute.String("what", what)))
		}
	}
	if skipped, due := d.sample(time.Now()); due {
		d.log.InfoContext(ctx, "factro sends what its description does not have", "cloud", cloud, "action", printable(e.Action),
			"known_action", !newAction, "new_keys", printable(strings.Join(e.NewKeys, " ")), "not_logged", skipped)
	}
}

// sample says whether a case is to be logged, and how many were not since the last.
func (d *drift) sample(now time.Time) (skipped int, due bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Before(d.next) {
		d.skipped++
		return 0, false
	}
	skipped, d.skipped, d.next = d.skipped, 0, now.Add(sampleEvery)
	return skipped, true
}

// printable keeps what a stranger named within a line of the log.
func printable(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
