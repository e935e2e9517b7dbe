package ingress

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// drift notices when factro sends something that its description does not have. Such webhooks are not refused: they are
// counted, and a sample is logged, so that somebody updates the description.
type drift struct {
	known map[string]bool
	// listed is set if the operator gave a list of actions. Without one, nearly all actions are unknown and not worth a log
	// line.
	listed  bool
	unknown metric.Int64Counter
	log     *slog.Logger

	samples *logsample.Sampler
}

// sampleEvery is how often a case of one kind is logged. All are counted.
const sampleEvery = 10 * time.Minute

func newDrift(actions []string, samples *logsample.Sampler, log *slog.Logger) (*drift, error) {
	d := &drift{known: map[string]bool{}, listed: len(actions) > 0, log: log, samples: samples}
	d.known[events.ActionCanary] = true // the bridge's own action
	for _, a := range factro.Actions() {
		d.known[a.Name] = true
	}
	for _, name := range actions {
		d.known[compare.Plain(name)] = true
	}
	b := instrument.New(scope)
	d.unknown = b.Counter("factro.bridge.webhooks.unknown", "{webhook}",
		"Webhooks with an action, or a top-level key, that the description of factro does not have; an action is unlisted where no list of actions was given.")
	return d, b.Err()
}

// expect starts the counts of a cloud at 0, so that the first case shows as growth.
func (d *drift) expect(ctx context.Context, cloud string) {
	for _, what := range []string{"action", "key"} {
		d.unknown.Add(ctx, 0, metric.WithAttributes(attribute.String("factro.cloud", cloud), attribute.String("what", what)))
	}
}

func (d *drift) check(ctx context.Context, cloud string, e translate.Event) {
	switch {
	case d.known[e.Action] || d.known[compare.Plain(e.Action)]:
	case d.listed:
		d.found(ctx, cloud, "action", e.Action, true)
	default:
		d.found(ctx, cloud, "unlisted", e.Action, false)
	}
	if len(e.NewKeys) > 0 {
		d.found(ctx, cloud, "key", strings.Join(e.NewKeys, " "), true)
	}
}

// found counts a case and logs it if one is due. The names are not used as labels: their number is not limited.
func (d *drift) found(ctx context.Context, cloud, what, names string, isNews bool) {
	d.unknown.Add(ctx, 1, metric.WithAttributes(attribute.String("factro.cloud", cloud), attribute.String("what", what)))
	if !isNews {
		return
	}
	if skipped, due := d.samples.Due(cloud+" "+what, time.Now()); due {
		d.log.InfoContext(ctx, "factro sends what its description does not have", "cloud", cloud, "what", what,
			"names", printable(names), "not_logged", skipped)
	}
}

// printable shortens and cleans names from a request for the log.
func printable(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
