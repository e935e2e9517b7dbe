// Package delivery implements the consumer's side of JetStream for one message at a time: it pulls a message, reports to
// the broker that the message is in progress, and confirms the verdict. The bridge uses it for commands, and pkg/events for
// subscriptions, so the rules for redelivery exist once.
//
// In: a connection and the name of a consumer. Out: messages and confirmed verdicts. It never decides the verdict, creates
// no consumers, and logs nothing.
package delivery

import (
	"cmp"
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Line waits for a usable connection.
type Line interface {
	// AwaitUp waits until the connection is up. If ctx ends first, the error says why it is not.
	AwaitUp(ctx context.Context) error
}

const (
	// AttemptTimeout is how long one request waits for the broker's answer. The request that is under way while the leader
	// changes is never answered; the next one is.
	AttemptTimeout = 2 * time.Second
	// LostAfter is how long a broker that is up may not know the stream or the consumer: it has just started, or they are gone.
	LostAfter = 2 * time.Second
	// attempts limits how often a verdict is sent that the broker does not answer.
	attempts = 3
	// pauseBetween is the time between two attempts, so that a lost connection is noticed.
	pauseBetween = 50 * time.Millisecond
)

// Backoff grows from a quarter of a second to half a minute, with jitter so that many clients do not retry together.
func Backoff(failures int) time.Duration {
	d := min(250*time.Millisecond<<min(failures, 10), 30*time.Second)
	return d/2 + rand.N(d/2)
}

// Grace returns a context that ends a while after its parent.
func Grace(parent context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() { time.AfterFunc(grace, cancel) })
	return ctx, func() { stop(); cancel() }
}

// Pause waits, and returns false if ctx ends first.
func Pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// API is the prefix of the subjects of JetStream's API, without the last dot: $JS.API, or that of a domain or an import.
func API(js jetstream.JetStream) string {
	o := js.Options()
	if o.Domain != "" {
		return "$JS." + o.Domain + ".API"
	}
	return strings.TrimSuffix(cmp.Or(o.APIPrefix, jetstream.DefaultAPIPrefix), ".")
}
