package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// silence is how long a reading of the journal waits for the next message before it gives up.
const silence = 30 * time.Second

// Events reads what the stream of events has of a cloud, from what it took at a time up to its present end. The messages
// come in the order of the stream; one that is no event is handed over with its Broken.
//
// The stream may no longer have all that it took: whole is the time since when it certainly has, zero if it has everything
// from its beginning.
func (b *Conn) Events(ctx context.Context, cloud string, since time.Time, each func(Message)) (whole time.Time, _ error) {
	whole, err := b.events(ctx, cloud, since, each)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the events of %s: %w", cloud, err)
	}
	return whole, nil
}

func (b *Conn) events(ctx context.Context, cloud string, since time.Time, each func(Message)) (whole time.Time, _ error) {
	if err := b.AwaitUp(ctx); err != nil {
		return whole, err
	}
	setup, cancel := context.WithTimeout(ctx, 5*AttemptTimeout)
	defer cancel()
	stream, err := b.js.Stream(setup, b.cfg.Prefix.EventStream(cloud))
	if err != nil {
		return whole, err
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 || state.LastTime.Before(since) {
		return wholeSince(state), nil
	}
	if err := b.readEvents(ctx, setup, stream, cloud, since, each); err != nil {
		return whole, err
	}
	// Only now: meanwhile the stream may have dropped what was still to be read.
	after, cancel := context.WithTimeout(ctx, 5*AttemptTimeout)
	defer cancel()
	info, err := stream.Info(after)
	if err != nil {
		return whole, err
	}
	return wholeSince(info.State), nil
}

// wholeSince is the time since when a stream has all that it took; zero if it has everything.
func wholeSince(state jetstream.StreamState) time.Time {
	switch {
	case state.FirstSeq > 1 && state.Msgs > 0:
		return state.FirstTime
	case state.FirstSeq > 1: // emptied: of what came before its last message nothing is left
		return state.LastTime
	}
	return time.Time{}
}

// readEvents reads what the stream has of a cloud up to its last message of now. setup bounds the beginning.
func (b *Conn) readEvents(ctx, setup context.Context, stream jetstream.Stream, cloud string, since time.Time, each func(Message)) error {
	last := stream.CachedInfo().State.LastSeq
	consumer, err := stream.OrderedConsumer(setup, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{string(b.cfg.Prefix) + ".event." + cloud + ".>"},
		DeliverPolicy:  jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	})
	if err != nil {
		return err
	}
	if consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	it, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer it.Stop()
	for {
		next, cancel := context.WithTimeout(ctx, silence)
		msg, err := it.Next(jetstream.NextContext(next))
		cancel()
		if errors.Is(err, jetstream.ErrNoHeartbeat) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		m := NewMessage(msg.Subject(), msg.Headers(), msg.Data(), meta.Timestamp)
		m.Pending = int64(min(meta.NumPending, math.MaxInt64))
		each(m)
		if meta.NumPending == 0 || meta.Sequence.Stream >= last {
			return nil
		}
	}
}

// flapping is how soon after an outage another one is taken for its continuation.
const flapping = 15 * time.Minute

// Outage tells since when the connection was away the last time, and when it came back. back is zero if it never was away,
// lost if it was from the beginning, so that nobody knows since when.
func (b *Conn) Outage() (lost, back time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outage.lost, b.outage.back
}

// outage is the last time without a connection.
type outage struct{ lost, back time.Time }

// goes notes that the connection is away from now on.
func (o *outage) goes(now time.Time) {
	if o.back.IsZero() || now.Sub(o.back) > flapping {
		o.lost = now
	}
}

// Returned waits until the connection was lost and is back, from now on.
func (b *Conn) Returned(ctx context.Context) error {
	if err := b.AwaitUp(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	select {
	case <-down:
	case <-b.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.AwaitUp(ctx)
}
