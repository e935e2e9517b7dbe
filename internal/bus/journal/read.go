package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
)

// Reader reads streams.
type Reader struct {
	js    jetstream.JetStream
	batch int
}

// New returns a reader on a connection.
func New(js jetstream.JetStream) Reader { return Reader{js: js} }

// InBatches asks for so many messages at once, which bounds what is held in memory where each may be large.
func (r Reader) InBatches(messages int) Reader {
	r.batch = messages
	return r
}

const (
	// setupTimeout bounds the beginning of a reading. A request without permission is never answered.
	setupTimeout = 5 * bus.AttemptTimeout
	// silence is how long a reading with an end waits for the next message before it gives up.
	silence = 30 * time.Second
	// linger is how long the broker keeps the consumer of a reading with an end afterwards. A stream may have only so many at once.
	linger = 30 * time.Second
)

var errSilent = errors.New("the broker sends no more, although more is there")

// Read reads the messages of a stream that match one of the filters, in their order. Without a filter it reads all of them. Each
// message knows how many are still to be read. An error is the last thing that comes; the end of ctx is one.
//
// A reading with an end leaves out what comes meanwhile, and ends early if somebody deletes the rest.
func (r Reader) Read(ctx context.Context, stream string, from From, to To, filters ...string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		if err := r.read(ctx, stream, from, to, filters, yield); err != nil {
			yield(Message{}, fmt.Errorf("read stream %s: %w", stream, err))
		}
	}
}

func (r Reader) read(ctx context.Context, stream string, from From, to To, filters []string, yield func(Message, error) bool) error {
	p, err := r.begin(ctx, stream, from, to, filters)
	if err != nil || p == nil {
		return err
	}
	defer p.messages.Stop()
	for {
		msg, err := p.next(ctx)
		if err != nil || msg == nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if !to.endless && meta.Sequence.Stream > p.last {
			return nil
		}
		m := NewMessage(msg.Subject(), msg.Headers(), msg.Data(), meta.Timestamp)
		m.Sequence, m.Pending = meta.Sequence.Stream, int64(min(meta.NumPending, math.MaxInt64))
		if !yield(m, nil) || !to.endless && (meta.NumPending == 0 || meta.Sequence.Stream >= p.last) {
			return nil
		}
	}
}

// begin returns nil if there is nothing to read. A reading without an end waits until an outage at its beginning is over. It
// then begins where it would have begun before.
func (r Reader) begin(ctx context.Context, stream string, from From, to To, filters []string) (*position, error) {
	cfg, err := from.consumer(ctx, r.js, stream)
	if err != nil {
		return nil, err
	}
	cfg.FilterSubjects = filters
	if !to.endless {
		cfg.InactiveThreshold = linger
	}
	conn := r.js.Conn()
	for {
		reconnects := conn.Stats().Reconnects
		p, err := r.open(ctx, stream, from, to, cfg)
		if !to.endless || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return p, err
		}
		if conn.IsConnected() && conn.Stats().Reconnects == reconnects {
			return nil, err // no outage: the broker does not answer, as without permission
		}
	}
}

func (r Reader) open(ctx context.Context, stream string, from From, to To, cfg jetstream.OrderedConsumerConfig) (*position, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	var err error
	p := &position{endless: to.endless, heard: time.Now()}
	if !to.endless {
		s, err := r.js.Stream(ctx, stream)
		if err != nil {
			return nil, err
		}
		state := s.CachedInfo().State
		if state.Msgs == 0 || state.LastTime.Before(from.time) || state.LastSeq < from.sequence {
			return nil, nil //nolint:nilnil // there is nothing to read
		}
		if p.last = state.LastSeq; to.sequence > 0 {
			p.last = min(p.last, to.sequence)
		}
	}
	if p.consumer, err = r.js.OrderedConsumer(ctx, stream, cfg); err != nil {
		return nil, err
	}
	if info := p.consumer.CachedInfo(); !to.endless && (info == nil || info.NumPending == 0) {
		return nil, nil //nolint:nilnil // as above
	}
	var opts []jetstream.PullMessagesOpt
	if r.batch > 0 {
		opts = append(opts, jetstream.PullMaxMessages(r.batch))
	}
	p.messages, err = p.consumer.Messages(opts...)
	return p, err
}

// position is how far a reading is.
type position struct {
	consumer jetstream.Consumer
	messages jetstream.MessagesContext
	last     uint64 // to be read, of a reading with an end
	endless  bool
	heard    time.Time // when something came last
	gone     bool      // whether nothing was left when the broker was asked
}

// next waits for the next message, and returns nil at the end.
func (p *position) next(ctx context.Context) (jetstream.Msg, error) {
	for {
		attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
		msg, err := p.messages.Next(jetstream.NextContext(attempt))
		cancel()
		switch {
		case err == nil:
			p.heard, p.gone = time.Now(), false
			return msg, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, jetstream.ErrNoHeartbeat): // an outage, after which the client goes on
			p.heard = time.Now()
		case !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		case p.endless:
		case p.isOver(ctx):
			return nil, nil //nolint:nilnil // the end
		case time.Since(p.heard) > silence:
			return nil, errSilent
		}
	}
}

// isOver says whether nothing is left: somebody may have deleted the rest. What was on its way when the broker was asked comes
// before it is asked again.
func (p *position) isOver(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	info, err := p.consumer.Info(ctx)
	was := p.gone
	p.gone = err == nil && info.NumPending == 0
	return was && p.gone
}
