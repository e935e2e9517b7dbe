package egress

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// inboxPrefix begins the subjects on which NATS clients hear answers.
const inboxPrefix = "_INBOX"

// replies decides where copies of results may go. A sender names the subject, and the bridge publishes there with its own
// rights: anything but an inbox, or what the operator has chosen, could be an order to the broker or to another program.
type replies struct {
	cloud    string
	prefixes []string
	log      *slog.Logger
	refused  metric.Int64Counter

	mu      sync.Mutex
	next    time.Time // no refusal is logged before
	skipped int       // since the last
}

// replyWarnEvery is how often a refused subject is logged. All are counted.
const replyWarnEvery = time.Minute

func newReplies(cfg Config, log *slog.Logger) (*replies, error) {
	r := &replies{cloud: cfg.Cloud, prefixes: append([]string{inboxPrefix}, cfg.ReplyPrefixes...), log: log}
	var err error
	r.refused, err = otel.Meter(scope).Int64Counter("factro.bridge.replies.refused", metric.WithUnit("{result}"),
		metric.WithDescription("Results that were not copied to the subject in Factro-Reply-To, since it is neither an inbox nor below one of nats.reply_prefixes."))
	if err != nil {
		return nil, err
	}
	r.refused.Add(context.Background(), 0, r.attrs())
	return r, nil
}

func (r *replies) attrs() metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("factro.cloud", r.cloud))
}

// allow says whether a subject may get a copy. One that may not is counted, and logged now and then.
func (r *replies) allow(ctx context.Context, subject, eventID string) bool {
	if len(subject) <= maxReplySubject {
		for _, prefix := range r.prefixes {
			if strings.HasPrefix(subject, prefix+".") {
				return true
			}
		}
	}
	r.refused.Add(ctx, 1, r.attrs())
	if skipped, due := r.sample(time.Now()); due {
		r.log.WarnContext(ctx, "reply subject is neither an inbox nor below one of nats.reply_prefixes; the result is in the stream only",
			"cloud", r.cloud, "event_id", eventID, "not_logged", skipped)
	}
	return false
}

// sample says whether a refusal is to be logged, and how many were not since the last.
func (r *replies) sample(now time.Time) (skipped int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.next) {
		r.skipped++
		return 0, false
	}
	skipped, r.skipped, r.next = r.skipped, 0, now.Add(replyWarnEvery)
	return skipped, true
}
