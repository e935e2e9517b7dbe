package publish

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// Replies decides where answers and copies of results of one cloud may go. An untrusted sender names the subject, and the
// bridge publishes there with its own rights: anything but an inbox, or a prefix that the operator has chosen, could be an
// instruction to the server or to another program.
type Replies struct {
	cloud, to string
	prefixes  []string
	log       *slog.Logger
	refused   atomic.Int64

	mu      sync.Mutex
	next    time.Time // no refusal is logged before
	skipped int       // since the last
}

const (
	// inboxes begins the subjects on which NATS clients receive answers.
	inboxes = "_INBOX"
	// imported begins the reply subjects that the server makes for requests from other accounts. It allows no client to name
	// one in a request; in a header it would not notice.
	imported = "_R_"
	// maxReply bounds a reply subject: one beyond the server's limit on a line of its protocol would end the connection.
	maxReply = 1 << 10
	// replyWarnEvery is how often a refused subject is logged. All are counted.
	replyWarnEvery = time.Minute
)

// CommandReplies are the subjects that commands may name in events.HeaderReplyTo: inboxes, and what is below a prefix.
func CommandReplies(cloud string, prefixes []string, log *slog.Logger) (*Replies, error) {
	return newReplies(cloud, "command", append([]string{inboxes}, prefixes...), log)
}

// RequestReplies are the reply subjects of requests: the same, and those of other accounts. kind says what is requested,
// for the log and the metric.
func RequestReplies(cloud, kind string, prefixes []string, log *slog.Logger) (*Replies, error) {
	return newReplies(cloud, kind, append([]string{inboxes, imported}, prefixes...), log)
}

func newReplies(cloud, to string, prefixes []string, log *slog.Logger) (*Replies, error) {
	r := &Replies{cloud: cloud, to: to, prefixes: prefixes, log: log}
	attrs := metric.WithAttributes(measure.Cloud(cloud), attribute.String("to", to))
	b := instrument.New(measure.Scope)
	refused := b.ObservableCounter("factro.bridge.replies.refused", "{reply}",
		"Copies of results, and answers to queries, that were not sent, since their subject is neither an inbox nor below one of nats.reply_prefixes.")
	b.Observe(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(refused, r.refused.Load(), attrs)
		return nil
	})
	return r, b.Err()
}

// Allow says whether a subject may be published to. One that may not is counted, and logged now and then with the id of the
// command, or without one.
func (r *Replies) Allow(ctx context.Context, subject, eventID string) bool {
	if len(subject) <= maxReply {
		for _, prefix := range r.prefixes {
			if strings.HasPrefix(subject, prefix+".") {
				return true
			}
		}
	}
	r.refused.Add(1)
	if skipped, due := r.sample(time.Now()); due {
		r.log.WarnContext(ctx, "reply subject is neither an inbox nor below one of nats.reply_prefixes; nothing is sent there",
			"cloud", r.cloud, "to", r.to, "event_id", eventID, "not_logged", skipped)
	}
	return false
}

// sample says whether to log a refusal, and how many were not logged since the last.
func (r *Replies) sample(now time.Time) (skipped int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.next) {
		r.skipped++
		return 0, false
	}
	skipped, r.skipped, r.next = r.skipped, 0, now.Add(replyWarnEvery)
	return skipped, true
}
