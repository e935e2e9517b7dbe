package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/hold"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

const (
	// pullMessages and pullBytes bound one request to pull.
	pullMessages, pullBytes = 256, 4 << 20
	// fullPause is how long to wait for room in the index.
	fullPause = 100 * time.Millisecond
)

// Reasons to have everything delivered again.
var (
	errGap    = errors.New("a delivery was lost on its way")
	errRemade = errors.New("the stream was made again, and a command of the one before is still in flight")
)

// pull takes all commands into the index until ctx ends or the consumer is lost.
func (q *cloudQueue) pull(ctx context.Context) error {
	if err := q.conn.AwaitUp(ctx); err != nil {
		return err
	}
	binding, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	q.index.Clear() // all of it comes again; before the next binding, so that none uses a reply subject of the one before
	q.binding.renew()
	consumer, kept, err := binder{q}.rebind(binding)
	if err != nil {
		return err
	}
	if kept {
		if err := q.readPending(ctx, consumer); err != nil {
			return err
		}
	}
	q.conn.Health().Pulls(q.cloud, nil)
	q.metrics.Watch(q.cloud, consumer)
	defer q.metrics.Unwatch(q.cloud)
	// The consumer's actual value: an operator may have created it with another one.
	stop := q.renew(ctx, max(consumer.CachedInfo().Config.AckWait/3, 10*time.Millisecond))
	defer stop()
	if kept {
		defer q.giveBack()
	}
	puller, last := q.pullFrom(consumer), uint64(0)
	for ctx.Err() == nil {
		if !q.index.MakeRoom() {
			delivery.Pause(ctx, fullPause)
			continue
		}
		err := puller.Pull(ctx, pullMessages, pullBytes, func(msg *nats.Msg) error {
			meta, err := msg.Metadata()
			if err != nil {
				return fmt.Errorf("a delivery names no place: %w", err)
			}
			if last != 0 && meta.Sequence.Consumer != last+1 {
				return errGap
			}
			last = meta.Sequence.Consumer
			return q.take(msg, meta.Sequence.Stream, meta.Timestamp, msg.Reply)
		})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("pull from %s: %w", consumer.CachedInfo().Name, err)
		}
	}
	return nil
}

// take puts a command into the index.
func (q *cloudQueue) take(msg *nats.Msg, seq uint64, at time.Time, reply string) error {
	now := time.Now()
	it := &index.Item{Entry: q.entry(msg, seq), Stored: at, Reply: reply, Msg: msg, Since: now, Renewed: now, Letter: hold.LetterOf(msg), Notice: q.senders.Heard(seq)}
	if !q.index.Add(it, q.holds.Holds(it.Lane, it.Letter)) {
		return errRemade
	}
	return nil
}

// readPending reads what the broker believes to be with a bridge, and would deliver again only after a while. With a consumer of an
// older version that is the one command that another bridge may be working on.
func (q *cloudQueue) readPending(ctx context.Context, c jetstream.Consumer) error {
	info := c.CachedInfo()
	if info.Config.MaxAckPending == 1 {
		return nil
	}
	for next := info.AckFloor.Stream + 1; next <= info.Delivered.Stream; {
		m, err := q.read(ctx, next, ">")
		if natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what is not settled: %w", err)
		}
		if m.Sequence <= info.Delivered.Stream {
			if err := q.take(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, m.Sequence, m.Time, ""); err != nil {
				return err
			}
		}
		next = m.Sequence + 1
	}
	return nil
}

// read reads a command from the leader of its stream.
func (q *cloudQueue) read(ctx context.Context, seq uint64, subject string) (*jetstream.RawStreamMsg, error) {
	return stored.On(q.conn).Get(ctx, q.stream, seq, subject)
}

// renew tells the broker of what is in the index that it is still being worked on, until stop.
func (q *cloudQueue) renew(ctx context.Context, every time.Duration) (stop func()) {
	return delivery.KeepAlive(min(every/4, time.Second), func() {
		for _, reply := range q.index.Due(every) {
			if err := q.conn.NATS().Publish(reply, []byte(delivery.InProgress)); err != nil && !natserr.Disconnected(err) {
				q.log.WarnContext(ctx, "a command cannot be renewed; it may be delivered again", "cloud", q.cloud, "error", err)
				return
			}
		}
	})
}

// giveBack has the broker deliver again what is not being carried out, for the next bridge, which cannot create the consumer again.
func (q *cloudQueue) giveBack() {
	for _, reply := range q.index.Idle() {
		if q.conn.NATS().Publish(reply, []byte(delivery.Nak(0))) != nil {
			return
		}
	}
}

// refill reads again what was cut from the index, as there is room for it.
func (q *cloudQueue) refill(ctx context.Context) {
	for ctx.Err() == nil {
		c, short := q.index.Short(max(q.options.Slots.Usual, q.options.Slots.Most, 1))
		if !short {
			delivery.Pause(ctx, fullPause)
			continue
		}
		for next, n := c.From, 0; short && ctx.Err() == nil && n < lane.Part(q.mostIndexed); {
			m, err := q.read(ctx, next, ">")
			switch {
			case natserr.NoMessage(err), errors.Is(err, jetstream.ErrMsgNotFound):
				short = !q.index.Refilled(&c, ^uint64(0))
				continue
			case err != nil:
				q.log.WarnContext(ctx, "commands that did not fit into the index cannot be read; trying again", "cloud", q.cloud, "error", err)
				short = false
				delivery.Pause(ctx, time.Second)
				continue
			}
			next = m.Sequence + 1
			msg := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
			it := &index.Item{Entry: q.entry(msg, m.Sequence), Stored: m.Time, Since: time.Now(), Notice: q.senders.Heard(m.Sequence)}
			if c.Holds(it.Entry) {
				n++
				q.index.Refill(&c, it)
			}
			short = !q.index.Refilled(&c, next)
		}
	}
}
