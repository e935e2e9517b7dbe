package advisory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

const (
	// consumerName is the durable consumer that all bridges share.
	consumerName = "egress-advisories"
	// ackWait is how long one advisory may take. It is not renewed: to handle an advisory twice is harmless.
	ackWait = time.Minute
	// mostPause bounds the pause after a failure.
	mostPause = 10 * time.Second
)

// advisory is what the broker says of a command that is not delivered any more.
type advisory struct {
	Type       string    `json:"type"`
	ID         string    `json:"id"`
	Time       time.Time `json:"timestamp"`
	Stream     string    `json:"stream"`
	Consumer   string    `json:"consumer"`
	Sequence   uint64    `json:"stream_seq"`
	Deliveries uint64    `json:"deliveries"`
	Reason     string    `json:"reason"`
}

func (a advisory) position() string { return a.Stream + ":" + strconv.FormatUint(a.Sequence, 10) }

// Types of advisories, as the server calls them.
const (
	maxDeliver = "io.nats.jetstream.advisory.v1.max_deliver"
	terminated = "io.nats.jetstream.advisory.v1.terminated"
)

// Reader handles the advisories of one cloud.
type Reader struct {
	cloud   string
	conn    Conn
	streams Streams
	letters DeadLetters
	gaveUp  GaveUp
	recent  recentLetters
	log     *slog.Logger

	mostPause time.Duration // the constant of this name
}

// New returns a reader. gaveUp may be nil.
func New(conn Conn, streams Streams, cloud string, letters DeadLetters, gaveUp GaveUp, log *slog.Logger) *Reader {
	prefix := conn.Settings().Prefix
	return &Reader{
		cloud: cloud, conn: conn, streams: streams, letters: letters, gaveUp: gaveUp, log: log, mostPause: mostPause,
		recent: recentLetters{conn: conn, stream: prefix.DeadStream(cloud), filter: string(prefix) + ".dead.command.>"},
	}
}

// Run makes dead letters of the commands that the broker gave up, until ctx ends, and reports to their senders. Each advisory is
// read by one of all bridges. Without the stream, or without rights on it, Run logs that once and goes on trying.
func (r *Reader) Run(ctx context.Context) error {
	select {
	case <-r.conn.StreamsReady(r.cloud):
	case <-ctx.Done():
		return nil
	}
	for failures := 0; ; failures++ {
		if r.conn.AwaitUp(ctx) != nil {
			return nil //nolint:nilerr // ctx has ended, or the connection is closed for good and the process ends
		}
		began := time.Now()
		err := r.read(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is the ordinary end
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		if err != nil && r.conn.News(consumerName+" of "+r.cloud, err.Error()) {
			r.log.WarnContext(ctx, "advisories cannot be read; what the broker gives up goes unnoticed", "cloud", r.cloud, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(delivery.Backoff(failures), r.mostPause)):
		}
	}
}

// read reads until ctx ends or the consumer is lost.
func (r *Reader) read(ctx context.Context) error {
	r.ensureStream(ctx)
	c, err := r.bind(ctx)
	if err != nil {
		return fmt.Errorf("consumer %s: %w", consumerName, err)
	}
	puller := delivery.Puller{
		Conn: r.conn.NATS(), Line: r.conn, API: r.conn.Settings().APIRoot(),
		Stream: c.CachedInfo().Stream, Consumer: c.CachedInfo().Name, Heartbeat: delivery.Heartbeat,
	}
	for ctx.Err() == nil {
		msg, err := puller.Next(ctx)
		switch {
		case msg != nil:
			r.handle(ctx, msg)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("pull from %s: %w", consumerName, err)
		}
	}
	return nil
}

// ensureStream creates the stream of advisories if it is missing. One that cannot be made is reported and no more than that:
// events and commands do without.
func (r *Reader) ensureStream(ctx context.Context) {
	cfg := r.conn.Settings()
	if !cfg.Manage {
		return
	}
	want := cfg.Plan().Advisories(r.cloud)
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	have, err := r.conn.JetStream().Stream(attempt, want.Name)
	cancel()
	why := ""
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = r.streams.CreateStream(ctx, want)
	case err == nil:
		why = topology.Drift(want.StreamConfig, have.CachedInfo().Config)
	}
	if err != nil {
		why = err.Error()
	}
	if ctx.Err() == nil && r.conn.News(want.Name, why) {
		r.log.WarnContext(ctx, "stream of advisories is not as it should be; what the broker gives up may go unnoticed",
			"stream", want.Name, "error", why)
	}
}

// bind returns the consumer of the advisories, which it creates if it is missing.
func (r *Reader) bind(ctx context.Context) (jetstream.Consumer, error) {
	cfg := r.conn.Settings()
	stream := topology.AdvisoryStream(cfg.Prefix, r.cloud)
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	c, err := r.conn.JetStream().Consumer(attempt, stream, consumerName)
	cancel()
	if !cfg.Manage || !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return c, err
	}
	attempt, cancel = context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	return r.conn.JetStream().CreateConsumer(attempt, stream, jetstream.ConsumerConfig{
		Durable: consumerName, Description: "Makes dead letters of what the broker gave up",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1,
	})
}

// handle handles an advisory and settles it. One that could not be handled comes again.
func (r *Reader) handle(stopping context.Context, msg *nats.Msg) {
	ctx, cancel := delivery.Grace(stopping, r.conn.Settings().DrainTimeout)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, ackWait)
	defer late()
	done, err := r.advised(ctx, msg)
	if err != nil {
		r.log.WarnContext(ctx, "an advisory could not be handled; it will come again", "subject", msg.Subject, "error", err)
	}
	verdict := delivery.Ack
	if !done {
		verdict = delivery.Nak(min(delivery.Backoff(0)*4, r.mostPause))
	}
	if err := delivery.Confirm(ctx, r.conn, r.conn.NATS(), msg.Reply, verdict); err != nil {
		r.log.WarnContext(ctx, "an advisory could not be settled; it will come again", "subject", msg.Subject, "error", err)
	}
}

// advised does what an advisory asks for, and says whether it is done. If it is not, the advisory has to come again.
func (r *Reader) advised(ctx context.Context, msg *nats.Msg) (done bool, err error) {
	var a advisory
	if err := json.Unmarshal(msg.Data, &a); err != nil || a.Stream != r.conn.Settings().Prefix.CommandStream(r.cloud) || a.Sequence == 0 {
		r.log.WarnContext(ctx, "an advisory is none that we know; it is dropped", "subject", msg.Subject)
		return true, nil //nolint:nilerr // it would be the same the next time
	}
	switch a.Type {
	case maxDeliver:
		err := r.undeliverable(ctx, a)
		return err == nil, err
	case terminated:
		meta, err := msg.Metadata()
		return r.terminated(ctx, a, err == nil && meta.NumDelivered < patientLooks)
	}
	return true, nil
}
