package events

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/subscription"
)

// Handler handles one event. Its context ends with that of Subscribe and carries the event's trace. The error is the
// verdict: nil acknowledges the event; [Retry] brings it again after a while; [Reject] never again; any other error
// brings it again after a time that grows from a quarter of a second to half a minute.
type Handler func(ctx context.Context, e Event) error

// Subscribe has handle called with each message that matches the filter, until ctx ends; then it returns nil. The filter
// is one of those that [Prefix] builds, such as factro.event.acme.task.*.TaskStateChanged, and says which stream is read:
// that of the events, of the changes, of the results, of the bridge's own events or of the dead letters of one cloud. Package change
// decodes changes. To read several clouds, subscribe once for each:
// every cloud has streams of its own, and a wildcard in the cloud's place is an error. An error says that there is nothing to read, or that the durable
// consumer is another one than asked for; it comes before the first event.
//
// Events come one at a time in the order of the stream, and the next one only after the verdict about the last; see
// [InFlight]. Each comes at least once: a verdict that does not reach the broker is not known there, and the event comes
// again. An event is the subscriber's as long as handle runs, however long that is.
//
// Without [Durable], the subscription begins now and ends with the call. A durable consumer keeps its place over
// restarts, and several programs may share it.
//
// Subscribe survives lost connections and restarts of the broker. If its consumer is gone, since somebody deleted it or
// since the broker has forgotten an ephemeral one, it makes another that begins with the first event that has no verdict
// yet, of those that came to this call. With [InFlight], others may hold earlier ones, so it begins where the broker last
// said that all before had a verdict: what was handled in the half minute before may come again. An event that comes again
// while it is handled is not handled twice at once; the verdict to come counts. A durable consumer that is deleted while
// nobody subscribes has lost its place, and starts over. From a stream that was created again it gets everything, if it may ask the
// broker about the stream.
func Subscribe(ctx context.Context, js jetstream.JetStream, filter string, handle Handler, opts ...SubscribeOption) error {
	s := subscriber{handle: handle, Subscription: subscription.Subscription{
		JS: js, Filter: filter, InFlight: 1, SyncEvery: subscription.SyncEvery, Log: slog.Default(),
	}}
	s.onUnreadable = func(ctx context.Context, e Event, err error) {
		s.Log.WarnContext(ctx, "message is no readable event and is left out", "subject", e.Subject, "sequence", e.Sequence, "error", err)
	}
	for _, o := range opts {
		o(&s)
	}
	var err error
	if s.prefix, s.Stream, err = streamOf(filter); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if s.InFlight > subscription.MaxInFlight {
		return fmt.Errorf("subscribe to %s: %d events in flight, want at most %d", filter, s.InFlight, subscription.MaxInFlight)
	}
	s.Handle = s.deliver
	if err := s.Run(ctx); err != nil {
		return fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	return nil
}

// SubscribeOption changes a subscription.
type SubscribeOption func(*subscriber)

// Durable gives the consumer a name under which the broker keeps its place. It is made if it is missing, and used as it
// is if it is there, unless its filter or its kind of acknowledgement differ or it takes more events at once: that is an
// error, since its events would be others than asked for. The name holds neither dots, blanks nor wildcards.
func Durable(name string) SubscribeOption { return func(s *subscriber) { s.Durable = name } }

// Prepared names a durable consumer that somebody else has made, and that Subscribe never makes: it is an error if it is
// missing at the start. One that is deleted later is waited for. So the program needs no right to make consumers, which is
// more than it looks: a consumer can have the broker publish anywhere. It needs to publish to
//
//	$JS.API.CONSUMER.INFO.<stream>.<name>
//	$JS.API.CONSUMER.MSG.NEXT.<stream>.<name>
//	$JS.ACK.<stream>.<name>.>
//
// and nothing else. An operator makes such a consumer with the filter of the subscription, for example
//
//	nats consumer add FACTRO_EVENTS_ACME billing --filter 'factro.event.acme.task.*.TaskCreated' --pull --ack explicit \
//	    --wait 30s --max-pending 1 --max-deliver=-1 --deliver all --replay instant --defaults
//
// where max-pending is the number of [InFlight], or 1.
func Prepared(name string) SubscribeOption {
	return func(s *subscriber) { s.Durable, s.Prepared = name, true }
}

// Since begins with what the stream has since a time, instead of now; the zero time stands for all that it has. A durable
// consumer that is there already keeps its place.
func Since(t time.Time) SubscribeOption { return func(s *subscriber) { s.Since = &t } }

// InFlight has up to n events handled at once, each on a goroutine of its own. The order is lost. A number below 1 counts
// as 1, and one above 1024 is an error of Subscribe.
//
// Four programs with the same n may share a durable consumer; beyond that, the sum of their numbers is to be at most 512.
func InFlight(n int) SubscribeOption { return func(s *subscriber) { s.InFlight = max(n, 1) } }

// Log has warnings written there, instead of by the default of [log/slog]: of a consumer that cannot be pulled from, and
// of messages that are no readable events.
func Log(log *slog.Logger) SubscribeOption { return func(s *subscriber) { s.Log = log } }

// OnUnreadable has f called with a message that is no readable event, instead of a warning. The event has what is known
// of it. Such a message does not come again.
func OnUnreadable(f func(ctx context.Context, e Event, err error)) SubscribeOption {
	return func(s *subscriber) { s.onUnreadable = f }
}

// streamOf returns the prefix of a filter and the stream that it is about. Each cloud has streams of its own, so the
// filter names one cloud.
func streamOf(filter string) (Prefix, string, error) {
	t := strings.Split(filter, ".")
	if len(t) < 3 {
		return "", "", fmt.Errorf("filter %s: want <prefix>.event.<cloud>.…, <prefix>.change.<cloud>.…, <prefix>.result.<cloud>.…, <prefix>.bridge.<cloud>.… or <prefix>.dead.<kind>.<cloud>…", binding.Quote(filter))
	}
	p, at := Prefix(t[0]), 2
	var stream func(string) string
	switch t[1] {
	case "event":
		stream = p.EventStream
	case "change":
		stream = p.changeStream
	case "result":
		stream = p.ResultStream
	case "bridge":
		stream = p.BridgeStream
	case "dead":
		stream, at = p.DeadStream, 3 // after command or webhook
	default:
		return "", "", fmt.Errorf("filter %s: want <prefix>.event.…, <prefix>.change.…, <prefix>.result.…, <prefix>.bridge.… or <prefix>.dead.…", binding.Quote(filter))
	}
	if at >= len(t) || t[at] == Any || slices.Contains(t[:at+1], ">") {
		return "", "", fmt.Errorf("filter %s: each cloud has streams of its own, so the filter must name the cloud; subscribe once for each cloud",
			binding.Quote(filter))
	}
	if !name.MatchString(t[at]) {
		return "", "", fmt.Errorf("filter %s: cloud %s is not of the form [a-z0-9][a-z0-9-]*", binding.Quote(filter), binding.Quote(t[at]))
	}
	return p, stream(t[at]), nil
}
