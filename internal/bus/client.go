package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Client is a short-lived connection for the command line: unlike Conn it says at once that the server is not there.
type Client struct {
	cfg Config
	nc  *nats.Conn
	js  jetstream.JetStream

	mu      sync.Mutex
	refused []health.Refusal // what CollectRefusals has heard of
}

// Dial connects as the configuration says.
func Dial(cfg Config) (*Client, error) {
	if err := cfg.ValidateConnection(); err != nil {
		return nil, err
	}
	opts, err := cfg.Options(func() *nats.Conn { return nil })
	if err != nil {
		return nil, err
	}
	nc, err := dial.Any(cfg, opts)
	if err != nil {
		return nil, err
	}
	js, err := cfg.JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	return &Client{cfg: cfg, nc: nc, js: js}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.nc.Close() }

// CollectRefusals has the client keep in mind which permissions the server refuses, for Why. Else they are printed.
func (c *Client) CollectRefusals() {
	c.nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if errors.Is(err, nats.ErrPermissionViolation) && len(c.refused) < health.MostRefused {
			c.refused = append(c.refused, health.ReadRefusal(err))
		}
	})
}

// Why adds to an error which permission the server has refused, if it was one to publish to subjects that begin like
// these, or one to subscribe, without which no answer comes at all. What met the refusal only times out.
func (c *Client) Why(err error, subjects ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.refused {
		if !r.Publish || slices.ContainsFunc(subjects, func(s string) bool { return strings.HasPrefix(r.Subject, s) }) {
			return fmt.Errorf("%w: %w", err, r.Err)
		}
	}
	return err
}

// Message is an event as it stands in a stream. Broken tells why it is none; a dead letter may be anything.
type Message struct {
	Subject string
	Header  nats.Header
	Data    []byte
	Time    time.Time
	// Sequence is its place in the stream, where that is known.
	Sequence uint64
	Event    event.Event
	Broken   error
	// Pending is how many messages follow that are to be read, where that is known.
	Pending int64
}

// TraceID returns the trace that the message belongs to, or "".
func (m Message) TraceID() string {
	if s := trace.SpanContextFromContext(delivery.Extract(context.Background(), measure.Propagator, m.Header)); s.HasTraceID() {
		return s.TraceID().String()
	}
	return ""
}

// Dead returns why the message is a dead letter, by the names of the headers that say so; nil if it is none.
func (m Message) Dead() map[string]string {
	var why map[string]string
	for name, values := range m.Header {
		if !strings.HasPrefix(name, topology.HeaderDead) || len(values) == 0 {
			continue
		}
		text, err := events.DecodeHeader(values[0])
		if err != nil {
			text = values[0]
		}
		if why == nil {
			why = map[string]string{}
		}
		why[name] = text
	}
	return why
}

// NewMessage reads a message as an event, if it is one.
func NewMessage(subject string, header nats.Header, data []byte, at time.Time) Message {
	m := Message{Subject: subject, Header: header, Data: data, Time: at}
	m.Event, m.Broken = events.FromMsg(header, data)
	return m
}

// Outages calls tell when the connection is lost, and when it is back, until ctx ends.
func (c *Client) Outages(ctx context.Context, tell func(up bool)) {
	changed := c.nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
	defer c.nc.RemoveStatusListener(changed)
	was := true
	for {
		select {
		case status := <-changed:
			if up := status == nats.CONNECTED; up != was {
				was = up
				tell(up)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Clouds returns the names of the clouds that have streams, sorted. It needs the right to list all streams.
func (c *Client) Clouds(ctx context.Context, p events.Prefix) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // a request that is refused is never answered
	defer cancel()
	var clouds []string
	names := c.js.StreamNames(ctx)
	for name := range names.Name() {
		if cloud, ok := strings.CutPrefix(name, p.DeadStream("")); ok {
			clouds = append(clouds, strings.ToLower(cloud))
		}
	}
	if err := names.Err(); err != nil {
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return nil, fmt.Errorf("there is no JetStream at %s for this account; is it the right server, account, --js-domain and --js-api-prefix? %w",
				secret.Address(c.nc.ConnectedUrl()), err)
		}
		return nil, fmt.Errorf("find the clouds by their streams, which needs the right to list them (else name one with --cloud): %w", err)
	}
	if len(clouds) == 0 {
		return nil, fmt.Errorf("no bridge has made streams at %s with the prefix %s (there is no stream %s…); is it the right server, account and prefix?",
			secret.Address(c.nc.ConnectedUrl()), p, p.DeadStream(""))
	}
	slices.Sort(clouds)
	return clouds, nil
}

// servedTimeout bounds the question whether a cloud is served: one that may not be asked is never answered.
const servedTimeout = 2 * time.Second

// Served says whether somebody takes the commands of a cloud at this moment, or has one in hand. It needs the right to look at
// the consumer of commands.
func (c *Client) Served(ctx context.Context, p events.Prefix, cloud string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, servedTimeout)
	defer cancel()
	consumer, err := c.js.Consumer(ctx, p.CommandStream(cloud), topology.EgressConsumer(cloud))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the consumer of the commands of %s: %w", cloud, err)
	}
	info := consumer.CachedInfo()
	for again := 0; ; again++ {
		if info.NumWaiting > 0 || info.NumAckPending > 0 {
			return true, nil
		}
		if again == 2 {
			return false, nil
		}
		select { // it may be between two pulls
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if info, err = consumer.Info(ctx); err != nil {
			return false, fmt.Errorf("look at the consumer of the commands of %s: %w", cloud, err)
		}
	}
}

// WaitStreams waits until a bridge has made the streams of a cloud.
func (c *Client) WaitStreams(ctx context.Context, p events.Prefix, cloud string) error {
	for {
		_, err := c.js.Stream(ctx, p.EventStream(cloud)) // the last one to be made
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the streams: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// NobodyTakes says whether a publish failed since no stream takes its subject.
func NobodyTakes(err error) bool { return errors.Is(err, jetstream.ErrNoStreamResponse) }

// NobodyAnswers says whether a request failed since nobody hears its subject, as far as this account sees.
func NobodyAnswers(err error) bool { return errors.Is(err, nats.ErrNoResponders) }
