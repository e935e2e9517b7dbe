package bus

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
)

// Conn is a connection to NATS and the streams of the contract.
type Conn struct {
	cfg     Config
	log     *slog.Logger
	nc      *nats.Conn
	js      jetstream.JetStream
	metrics metric.Registration
	closing atomic.Bool // whether Close was called
	health  *health.Health
	signing atomic.Pointer[nats.Conn] // nc, once it is there
	rhythm  dial.Rhythm
	samples *logsample.Sampler // of what is logged again and again

	changed chan struct{} // has a token when the streams should be checked again

	*link
	*health.State
	streams    Streams // what makes and checks the streams, nil if nothing does
	newStreams func(*Conn) Streams

	ackWait, heartbeat, checkEvery, checkTimeout, refusingAfter time.Duration // the constants of these names
}

var (
	// ErrNotConnected says that there is no connection at the moment.
	ErrNotConnected = dial.ErrAway
	// ErrClosed says that there will be no connection again in this process.
	ErrClosed = dial.ErrClosed
)

// Connect validates the configuration and starts to connect. It does not wait for the server: a bridge has to come up
// while NATS is away. An error is a mistake in the configuration.
func Connect(cfg Config, log *slog.Logger, options ...Option) (*Conn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Conn{
		cfg: cfg, log: log, rhythm: dial.DefaultRhythm, samples: logsample.New(time.Minute),
		changed: make(chan struct{}, 1), link: newLink(), State: health.NewState(cfg.Clouds, cfg.Plan().Window()),
		ackWait: ackWait, heartbeat: delivery.Heartbeat, checkEvery: checkEvery,
		checkTimeout: checkTimeout, refusingAfter: health.RefusingAfter,
	}
	for _, change := range options {
		change(b)
	}
	b.health = health.New(b, cfg, b.State, b.refusingAfter, log)
	if b.newStreams != nil {
		b.streams = b.newStreams(b)
	}
	var err error
	if b.metrics, err = observe(b); err != nil {
		return nil, err
	}
	opts, err := b.options()
	if err != nil {
		return nil, err
	}
	if b.nc, err = nats.Connect(cfg.URL, opts...); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", dial.WithoutURL(err))
	}
	b.signing.Store(b.nc)
	if b.nc.IsConnected() { // the handler may have run before nc was there to be asked
		b.renew()
	} else {
		b.startedAway()
	}
	if b.js, err = cfg.JetStream(b.nc); err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	return b, nil
}

// Close flushes what was published, ends the subscriptions and waits until the connection is closed.
func (b *Conn) Close() {
	b.closing.Store(true)
	_ = b.metrics.Unregister() // an error says that it is not registered any more
	if err := b.nc.Drain(); err != nil {
		b.nc.Close() // not connected: there is nothing to drain
	}
	<-b.closed
}
