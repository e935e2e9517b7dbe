package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// duplicates is how long a stream recognises a message id. It spans the retries of a publish and of a sender, and
// bounds what the server must remember.
const duplicates = 10 * time.Minute

// streams returns the streams of the contract. Ages and sizes are a start: an operator may change them on the server,
// and that is not drift.
func streams(p events.Prefix, replicas int) []jetstream.StreamConfig {
	day := 24 * time.Hour
	all := []jetstream.StreamConfig{
		{
			Name: p.EventStream(), Description: "Events out of factro", Subjects: []string{string(p) + ".event.>"},
			MaxAge: 30 * day, Compression: jetstream.S2Compression,
		},
		{
			// A work queue: a command is gone when it is settled. Discard new, so that a sender hears that the queue is
			// full, instead of an older sender losing a command without a word.
			Name: p.CommandStream(), Description: "Commands into factro", Subjects: []string{string(p) + ".command.>", string(p) + ".redrive.>"},
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: 100_000, AllowMsgTTL: true,
		},
		{
			Name: p.ResultStream(), Description: "What became of each command", Subjects: []string{string(p) + ".result.>"},
			MaxAge: 7 * day,
		},
		{
			// Limits, not a work queue: dead letters are to be looked at, and only one reader can look into a queue.
			Name: p.DeadStream(), Description: "Dead letters", Subjects: []string{string(p) + ".dead.>"},
			MaxAge: 90 * day,
		},
	}
	for i := range all {
		all[i] = alike(all[i], replicas)
	}
	return all
}

// alike gives a stream what all of them have.
func alike(c jetstream.StreamConfig, replicas int) jetstream.StreamConfig {
	c.Duplicates, c.Replicas, c.Storage, c.AllowDirect = duplicates, replicas, jetstream.FileStorage, true
	return c
}

// ensureStreams creates what is missing and warns about what differs. Without the right to manage it only looks.
func (b *Bus) ensureStreams(ctx context.Context) error {
	if !b.cfg.Manage {
		return b.bindStreams(ctx)
	}
	var useless []error // there, but no good; the others are made all the same
	for _, want := range streams(b.cfg.Prefix, b.cfg.Replicas) {
		have, err := b.js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			if _, err := b.js.CreateStream(ctx, want); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return fmt.Errorf("create stream %s: %w", want.Name, err)
			}
			b.log.InfoContext(ctx, "stream created", "stream", want.Name)
		case err != nil:
			return fmt.Errorf("look up stream %s: %w", want.Name, err)
		default:
			if d := streamDrift(want, have.CachedInfo().Config); b.isNews(want.Name, d) {
				b.log.WarnContext(ctx, "stream differs from the contract; it is left as it is", "stream", want.Name, "drift", d)
			}
			if err := usable(have.CachedInfo(), want.Name != b.cfg.Prefix.CommandStream()); err != nil {
				useless = append(useless, err)
			}
		}
	}
	have, err := b.js.Stream(ctx, "KV_"+b.ledgerBucket())
	switch {
	case err == nil:
		if err := usable(have.CachedInfo(), true); err != nil {
			useless = append(useless, err)
		}
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = b.createLedger(ctx)
	}
	if err != nil {
		return fmt.Errorf("ledger bucket %s: %w", b.ledgerBucket(), err)
	}
	return first(useless)
}

// streamDrift names what of a stream's configuration breaks the contract.
func streamDrift(want, have jetstream.StreamConfig) string {
	return drift{
		{"subjects", slices.Equal(want.Subjects, have.Subjects), want.Subjects, have.Subjects},
		{"retention", want.Retention == have.Retention, want.Retention, have.Retention},
		{"discard", want.Discard == have.Discard, want.Discard, have.Discard},
		{"storage", want.Storage == have.Storage, want.Storage, have.Storage},
		{"replicas", want.Replicas == have.Replicas, want.Replicas, have.Replicas},
		{"duplicate window", have.Duplicates >= want.Duplicates, want.Duplicates, have.Duplicates},
		{"message TTL", have.AllowMsgTTL || !want.AllowMsgTTL, want.AllowMsgTTL, have.AllowMsgTTL},
	}.String()
}

// consumerConfig is the durable consumer of one cloud's commands.
//
// MaxAckPending 1 means one command of a cloud at a time over all bridges, in the order of the stream: the second bridge
// stands by. A command is pulled only when it can be worked on, so AckWait never runs in a buffer; while it is worked on
// it is renewed, so AckWait is only how long a crash goes unnoticed. MaxDeliver is unlimited, since the verdict about a
// command is ours and a broker's count would strand it.
func (b *Bus) consumerConfig(cloud string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: "egress-" + cloud, Description: "Carries out the commands of " + cloud,
		FilterSubjects: []string{string(b.cfg.Prefix) + ".command." + cloud + ".>", string(b.cfg.Prefix) + ".redrive." + cloud + ".>"},
		AckPolicy:      jetstream.AckExplicitPolicy, AckWait: b.ackWait, MaxAckPending: 1, MaxDeliver: -1,
	}
}

// ackWait is how long the broker waits for word of a command before it delivers it to somebody else.
const ackWait = 10 * time.Second

func (b *Bus) consumer(ctx context.Context, cloud string) (jetstream.Consumer, error) {
	want := b.consumerConfig(cloud)
	c, err := b.js.Consumer(ctx, b.cfg.Prefix.CommandStream(), want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && b.cfg.Manage:
		if c, err = b.js.CreateConsumer(ctx, b.cfg.Prefix.CommandStream(), want); err != nil {
			return nil, fmt.Errorf("create consumer %s: %w", want.Durable, err)
		}
	case err != nil:
		return nil, fmt.Errorf("bind consumer %s: %w", want.Durable, err)
	default:
		have := c.CachedInfo().Config
		if d := (drift{
			{"filter", slices.Equal(want.FilterSubjects, have.FilterSubjects), want.FilterSubjects, have.FilterSubjects},
			{"ack wait", want.AckWait == have.AckWait, want.AckWait, have.AckWait},
			{"max ack pending", want.MaxAckPending == have.MaxAckPending, want.MaxAckPending, have.MaxAckPending},
			{"max deliver", want.MaxDeliver == have.MaxDeliver, want.MaxDeliver, have.MaxDeliver},
		}).String(); b.isNews(want.Durable, d) {
			b.log.WarnContext(ctx, "consumer differs from the contract; it is left as it is", "consumer", want.Durable, "drift", d)
		}
	}
	return c, nil
}

// isNews says whether the operator has yet to be told of a drift: once is enough, over all the times that we look.
func (b *Bus) isNews(name, drift string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := drift != "" && b.warned[name] != drift
	b.warned[name] = drift
	return news
}

// drift is a list of comparisons between what we would have made and what is there.
type drift []struct {
	what       string
	same       bool
	want, have any
}

func (d drift) String() string {
	var parts []string
	for _, c := range d {
		if !c.same {
			parts = append(parts, fmt.Sprintf("%s is %v, want %v", c.what, c.have, c.want))
		}
	}
	return strings.Join(parts, "; ")
}
