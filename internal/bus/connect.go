package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Scope names what the bus and its packages measure and trace. It is one for all, since several count in the same metrics.
const Scope = "github.com/factro-bridge/factro-bridge/internal/bus"

// Conn is a connection to NATS and the streams of the contract.
type Conn struct {
	cfg     Config
	log     *slog.Logger
	nc      *nats.Conn
	js      jetstream.JetStream
	tracer  trace.Tracer
	metrics metrics
	closed  chan struct{} // closed when the connection is
	closing atomic.Bool   // whether Close was called
	health  *health
	signing atomic.Pointer[nats.Conn] // nc, once it is there
	tries   *dial.Attempts
	rhythm  dial.Rhythm
	samples *logsample.Sampler // of what is logged again and again
	limits  limits             // of messages

	mu      sync.Mutex
	up      chan struct{} // closed while the connection is up; a new one while it is down
	down    chan struct{} // closed when the connection goes down; a new one once it is up
	isUp    bool
	epoch   int  // counts the connections
	away    bool // whether the connection ever was
	outage  outage
	changed chan struct{}    // has a token when the streams should be looked at again
	others  map[string]other // who takes a destination of ours, as it was logged last

	*State
	streams    Streams // what makes and checks the streams, nil if nothing does
	newStreams func(*Conn) Streams

	ackWait, heartbeat, lookEvery, lookTimeout, refusingAfter time.Duration // the constants of these names
}

// lookEvery is how often the streams are looked at while all is well: somebody may delete one, and readiness is to know
// before the next publish does. A look that finds something wrong is repeated after lookAgainAfter.
const (
	lookEvery      = 10 * time.Second
	lookAgainAfter = time.Second
	lookTimeout    = 5 * time.Second
)

// writeTimeout bounds how long the client waits until a server takes what is written to its connection. Meanwhile everybody
// who publishes has to wait, beyond any context. The client's own bound is a minute.
const writeTimeout = 10 * time.Second

var (
	// ErrNotConnected says that there is no connection at the moment.
	ErrNotConnected = dial.ErrAway
	// ErrClosed says that there will be no connection again in this process.
	ErrClosed   = errors.New("the connection to NATS was closed for good")
	errNotBound = errors.New("the streams have not been looked up yet")
)

// Connect validates the configuration and starts to connect. It does not wait for the server: a bridge has to come up
// while NATS is away. An error is a mistake in the configuration.
func Connect(cfg Config, log *slog.Logger, options ...Option) (*Conn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Conn{
		cfg: cfg, log: log, tracer: otel.Tracer(Scope), health: newHealth(), rhythm: dial.DefaultRhythm, samples: logsample.New(time.Minute),
		closed: make(chan struct{}), up: make(chan struct{}), down: make(chan struct{}), changed: make(chan struct{}, 1),
		State:  newState(cfg.Clouds),
		others: map[string]other{}, ackWait: ackWait, heartbeat: delivery.Heartbeat, lookEvery: lookEvery,
		lookTimeout: lookTimeout, refusingAfter: refusingAfter,
	}
	for _, change := range options {
		change(b)
	}
	if b.newStreams != nil {
		b.streams = b.newStreams(b)
	}
	var err error
	if b.metrics, err = newMetrics(b); err != nil {
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
		b.setUp()
	} else {
		b.startedAway()
	}
	if b.js, err = cfg.JetStream(b.nc); err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	return b, nil
}

// options are what keeps the bridge alive through any outage: it never stops to reconnect, not even after refused
// credentials, since those are rotated; it keeps no buffer, so that a publish during an outage fails at once instead of
// being sent after its caller has given up; and it hears of refused permissions, which otherwise are silent.
func (b *Conn) options() ([]nats.Option, error) {
	b.tries = dial.NewAttempts(b.cfg, b.rhythm, func() error {
		if nc := b.signing.Load(); nc != nil {
			return nc.LastError()
		}
		return nil
	}, b.log)
	opts := []nats.Option{
		nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(b.rhythm.ReconnectWait), nats.ReconnectJitter(b.rhythm.Jitter, b.rhythm.Jitter),
		nats.SetCustomDialer(b.tries), nats.ReconnectToServer(b.tries.Choose),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.tries.Reported(err) }),
		nats.ReconnectBufSize(-1), nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(b.rhythm.PingInterval), nats.MaxPingsOutstanding(2),
		nats.DrainTimeout(b.cfg.DrainTimeout), nats.PermissionErrOnSubscribe(true),
		nats.ConnectHandler(func(nc *nats.Conn) {
			b.tries.Connected()
			b.log.Info("connected to NATS", "server", secret.Address(nc.ConnectedUrl()))
			b.setUp()
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.tries.Connected()
			b.log.Info("connected to NATS again", "server", secret.Address(nc.ConnectedUrl()))
			b.setUp()
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.setDown()
			if err == nil { // we closed it
				return
			}
			if skipped, due := b.samples.Due("disconnected: "+dial.Inner(err).Error(), time.Now()); due {
				b.log.Warn("NATS disconnected", "error", err, "not_logged", skipped)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.asyncError(err) }),
		nats.LameDuckModeHandler(func(nc *nats.Conn) { // it closes the connection in its own time, and the client moves on
			b.log.Info("NATS server is about to shut down", "server", secret.Address(nc.ConnectedUrl()))
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	}
	common, err := b.cfg.Options(b.signing.Load)
	if err != nil {
		return nil, err
	}
	opts = append(common, opts...)
	if b.cfg.Server != nil {
		opts = append(opts, nats.InProcessServer(b.cfg.Server))
	}
	return opts, nil
}

// Run keeps the streams bound: after the first connection, after each reconnect, when one seems to be gone, and every now
// and then it looks whether they are there. It returns when ctx ends, and with an error if the connection is closed for
// good although nobody called Close: the client does so after an error of the server's that it does not know, and then
// only a new process connects again.
func (b *Conn) Run(ctx context.Context) error {
	b.metrics.expect(ctx, string(b.cfg.Prefix), b.cfg.Clouds)
	if b.cfg.Server != nil {
		go b.cfg.Server.Recover(ctx, b.health.unanswered, b.log) // it may wait for a disk that hangs, which the end does not
	}
	for {
		if err := b.AwaitUp(ctx); err != nil {
			return b.end(ctx)
		}
		again := b.lookEvery
		if b.streams != nil && !b.streams.Check(ctx) {
			again = min(again, lookAgainAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-b.closed:
			return b.end(ctx)
		case <-time.After(again):
		case <-b.changed:
		}
	}
}

// end is how Run ends: with nil if ctx ended or Close was called.
func (b *Conn) end(ctx context.Context) error {
	if ctx.Err() != nil || b.closing.Load() {
		return nil //nolint:nilerr // the end of ctx is the ordinary end
	}
	if why := b.nc.LastError(); why != nil {
		return fmt.Errorf("%w: %w", ErrClosed, why)
	}
	return ErrClosed
}

// Begun waits until the streams of a cloud were there for the first time, or until ctx ends.
func (b *Conn) Begun(ctx context.Context, cloud string) {
	select {
	case <-b.StreamsReady(cloud):
	case <-ctx.Done():
	}
}

// Health is what keeps a bus from its work, each nil if nothing does.
type Health struct {
	// Broker is what all work meets: there is no connection, a permission is refused, or a stream is not as it must be.
	Broker error
	// Webhooks is why events and dead webhooks cannot be stored, although the broker seems to be well.
	Webhooks error
	// Commands is why commands cannot be pulled, or why what became of them cannot be stored. What the sender of one command
	// does can show here, so it says nothing about webhooks.
	Commands error
}

// Health says what keeps the bus from its work. A part that works for one cloud is healthy: what is wrong with the others,
// CloudHealth tells.
func (b *Conn) Health() Health {
	b.mu.Lock()
	up := b.isUp
	b.mu.Unlock()
	if !up {
		return Health{Broker: b.tries.Err()}
	}
	h := Health{
		Broker: b.health.refusal(""), Webhooks: b.health.trouble("", webhookSide), Commands: b.health.trouble("", commandSide),
	}
	var broker, webhooks, commands []error
	clouds := make([]Health, len(b.cfg.Clouds))
	for i, cloud := range b.cfg.Clouds {
		clouds[i] = b.CloudHealth(cloud)
		broker = append(broker, clouds[i].Broker)
	}
	h.Broker = cmp.Or(h.Broker, ofAll(broker))
	for _, c := range clouds {
		if h.Broker == nil { // what the broker lacks for some clouds keeps both kinds of work from these
			c.Webhooks, c.Commands = cmp.Or(c.Broker, c.Webhooks), cmp.Or(c.Broker, c.Commands)
		}
		webhooks, commands = append(webhooks, c.Webhooks), append(commands, c.Commands)
	}
	h.Webhooks, h.Commands = cmp.Or(h.Webhooks, ofAll(webhooks)), cmp.Or(h.Commands, ofAll(commands))
	return h
}

// ofAll is the first of several errors if there is no nil among them.
func ofAll(errs []error) error {
	if slices.Contains(errs, nil) {
		return nil
	}
	return First(errs)
}

// CloudHealth says what keeps the bus from the work of a cloud beside what Health says of all: streams that are missing,
// broken or full, publishes that are refused, commands that cannot be pulled.
func (b *Conn) CloudHealth(cloud string) Health {
	bound := b.found(cloud)
	return Health{
		Broker:   cmp.Or(b.health.refusal(cloud), bound),
		Webhooks: b.health.trouble(cloud, webhookSide), Commands: b.health.trouble(cloud, commandSide),
	}
}

// Ready says whether the bus can do work of each kind, or why not.
func (b *Conn) Ready() error { return b.Health().first() }

func (h Health) first() error { return cmp.Or(h.Broker, h.Webhooks, h.Commands) }

// Troubles says what keeps the bus from the work of a cloud. Clouds of which all is well are left out.
func (b *Conn) Troubles() map[string]error {
	troubles := map[string]error{}
	for _, cloud := range b.cfg.Clouds {
		if err := b.CloudHealth(cloud).first(); err != nil {
			troubles[cloud] = err
		}
	}
	return troubles
}

// Close flushes what was published, ends the subscriptions and waits until the connection is closed.
func (b *Conn) Close() {
	b.closing.Store(true)
	b.metrics.stop()
	if err := b.nc.Drain(); err != nil {
		b.nc.Close() // not connected: there is nothing to drain
	}
	<-b.closed
}

func (b *Conn) setUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isUp {
		return
	}
	b.isUp, b.down = true, make(chan struct{})
	if b.away {
		b.outage.back = time.Now()
	}
	b.epoch++
	b.State.renewed()
	b.health.renewed()
	close(b.up)
	b.Recheck()
}

// startedAway notes that the first attempt to connect failed.
func (b *Conn) startedAway() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = true
	if b.isUp { // by now
		b.outage.back = time.Now()
	}
}

// Recheck has Run look at the streams soon.
func (b *Conn) Recheck() {
	select {
	case b.changed <- struct{}{}:
	default: // it is going to anyway
	}
}

// Up says whether the connection is known to be up.
func (b *Conn) Up() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isUp
}

func (b *Conn) setDown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isUp {
		b.isUp, b.away, b.up = false, true, make(chan struct{})
		b.outage.goes(time.Now())
		close(b.down)
	}
}

// AwaitUp waits until the connection is up. There is nothing to wait for once it is closed.
func (b *Conn) AwaitUp(ctx context.Context) error {
	b.mu.Lock()
	up := b.up
	b.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-b.closed:
		return ErrClosed
	case <-ctx.Done():
		return b.tries.Err()
	}
}

// Connected waits for the first connection for as long as a command should. The error tells why there is none.
func (b *Conn) Connected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	return b.AwaitUp(ctx)
}

// commandWait is how long a command waits for NATS before it says that it is not there: a server may be restarting.
const commandWait = 5 * time.Second

// asyncError hears what the server says outside of any request.
func (b *Conn) asyncError(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		if b.leaderRefused(readRefusal(err)) {
			return
		}
		if b.onlyForAdvisories(err) { // who reads them says so
			b.log.Debug("NATS refuses a permission for advisories", "error", err)
			return
		}
		b.isRefused(err)
	}
	b.mu.Lock()
	up := b.isUp
	b.mu.Unlock()
	if !up { // the reason of a failed attempt, which is logged there
		return
	}
	if skipped, due := b.samples.Due(err.Error(), time.Now()); due {
		b.log.Error("NATS reports an error", "error", err, "not_logged", skipped)
	}
}
