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

// window is how long the stream of a cloud's events recognises a message id.
func (b *Bus) window(cloud string) time.Duration {
	window := b.cfg.window()
	b.mu.Lock()
	defer b.mu.Unlock()
	if have, ok := b.windows[cloud]; ok {
		return min(window, have) // somebody may have chosen less
	}
	return window
}

// sawStream keeps what has to be known of a stream of events between two looks.
func (b *Bus) sawStream(cloud string, c jetstream.StreamConfig) {
	if c.Name != b.cfg.Prefix.EventStream(cloud) {
		return
	}
	b.limits.sawMessages(cloud, int64(c.MaxMsgSize))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.windows[cloud] = c.Duplicates
}

const day = 24 * time.Hour

// streamSpec is a stream of the contract, and what its size is. Ages are a start: an operator may change them, and the
// sizes, on the server, and that is not drift.
type streamSpec struct {
	jetstream.StreamConfig
	size
}

// Each cloud has streams of its own. So what is sent for one cloud fills no other's store, names no other's message ids,
// and nobody who may ask about a stream learns anything of another cloud.

func eventStream(p events.Prefix, cloud string) streamSpec {
	return streamSpec{alike(jetstream.StreamConfig{
		Name: p.EventStream(cloud), Description: "Events out of factro", Subjects: []string{string(p) + ".event." + cloud + ".>"},
		MaxAge: 30 * day, Compression: jetstream.S2Compression,
	}), sizeEvents}
}

// commandStream is a work queue: a command is gone when it is settled. Discard new, so that a sender hears that the queue is
// full, instead of an older sender losing a command without a word.
func commandStream(p events.Prefix, cloud string) streamSpec {
	return streamSpec{alike(jetstream.StreamConfig{
		Name: p.CommandStream(cloud), Description: "Commands into factro", Subjects: commandSubjects(p, cloud),
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: 100_000, AllowMsgTTL: true,
	}), sizeCommands}
}

// commandSubjects are those of commands, and of commands that an operator sends once more.
func commandSubjects(p events.Prefix, cloud string) []string {
	return []string{string(p) + ".command." + cloud + ".>", string(p) + ".redrive." + cloud + ".>"}
}

func resultStream(p events.Prefix, cloud string) streamSpec {
	return streamSpec{alike(jetstream.StreamConfig{
		Name: p.ResultStream(cloud), Description: "What became of each command", Subjects: []string{string(p) + ".result." + cloud + ".>"},
		MaxAge: 7 * day,
	}), sizeResults}
}

// deadStream has limits and is no work queue: dead letters are to be looked at, and only one reader can look into a queue.
func deadStream(p events.Prefix, cloud string) streamSpec {
	return streamSpec{alike(jetstream.StreamConfig{
		Name: p.DeadStream(cloud), Description: "Dead letters",
		Subjects: []string{string(p) + ".dead.command." + cloud + ".>", string(p) + ".dead.webhook." + cloud},
		MaxAge:   90 * day,
	}), sizeDead}
}

// alike gives a stream what all of them have.
func alike(c jetstream.StreamConfig) jetstream.StreamConfig {
	c.Duplicates, c.Storage, c.AllowDirect = DefaultDuplicateWindow, jetstream.FileStorage, true
	return c
}

// streams returns the streams of a cloud without which its work stands still, in the order in which they get room: what
// lets the queue of commands be worked off comes first.
func streams(p events.Prefix, cloud string) []streamSpec {
	return []streamSpec{
		resultStream(p, cloud),
		deadStream(p, cloud),
		{ledgerStream(LedgerBucket(p, cloud)), sizeLedger},
		commandStream(p, cloud),
		eventStream(p, cloud),
	}
}

// streams are those of a cloud as the configuration wants them.
func (c Config) streams(cloud string) []streamSpec {
	all := streams(c.Prefix, cloud)
	for i := range all {
		all[i] = c.shaped(all[i])
	}
	return all
}

// ensureStreams creates what is missing and warns about what differs, and returns what is wrong with each cloud. Without
// the right to manage it only looks.
func (b *Bus) ensureStreams(ctx context.Context) map[string]error {
	var looks map[string]look
	if b.cfg.Manage {
		looks = b.shareOut(ctx, func() map[string]look { return b.eachCloud(ctx, b.lookAt) })
	} else {
		looks = b.eachCloud(ctx, func(ctx context.Context, cloud string) look { return look{err: b.bindStreams(ctx, cloud)} })
	}
	for kind := range streams(b.cfg.Prefix, "") { // kind by kind: no cloud takes the room that another's results need
		for _, cloud := range b.cfg.Clouds {
			l := looks[cloud]
			if i := slices.IndexFunc(l.missing, func(s streamSpec) bool { return s.Name == streams(b.cfg.Prefix, cloud)[kind].Name }); i >= 0 {
				if err := b.createStream(ctx, l.missing[i]); err != nil {
					l.useless = append(l.useless, fmt.Errorf("create stream %s: %w", l.missing[i].Name, err))
				}
				looks[cloud] = l
			}
		}
	}
	errs := map[string]error{}
	for cloud, l := range looks {
		if errs[cloud] = l.err; l.err == nil {
			errs[cloud] = first(l.useless)
		}
	}
	return errs
}

// look is what was seen of a cloud's streams.
type look struct {
	missing []streamSpec
	rest    []size  // of what is missing beside the streams
	useless []error // there, but no good; the others are used all the same
	err     error   // why it could not be looked at
}

// lookAt looks whether the streams of a cloud are there and as they should be.
func (b *Bus) lookAt(ctx context.Context, cloud string) look {
	var l look
	for _, want := range b.cfg.streams(cloud) {
		if b.isMoving(want.Name) {
			continue
		}
		have, err := b.js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			l.missing = append(l.missing, want)
		case err != nil:
			l.err = fmt.Errorf("look up stream %s: %w", want.Name, withSetting(err, want.size))
			return l
		default:
			b.sawStream(cloud, have.CachedInfo().Config)
			if d := streamDrift(want.StreamConfig, have.CachedInfo().Config); b.isNews(want.Name, d) {
				b.log.WarnContext(ctx, "stream differs from the contract; it is left as it is", "stream", want.Name, "drift", d)
			}
			weSend := want.Name != b.cfg.Prefix.CommandStream(cloud)
			err := b.sawUsable(have.CachedInfo(), weSend)
			if err == nil {
				err = missingSubjects(ctx, b.js, want.StreamConfig, have.CachedInfo(), weSend)
			}
			if err != nil {
				l.useless = append(l.useless, err)
			}
		}
	}
	b.mu.Lock()
	stocked := b.stocked
	b.mu.Unlock()
	if len(l.missing) > 0 || !stocked {
		l.rest = b.missingRest(ctx, cloud)
	}
	if (len(l.missing) > 0 || len(l.rest) > 0) && b.isMissing(ctx, AdvisoryStream(b.cfg.Prefix, cloud)) {
		l.rest = append(l.rest, sizeAdvisories) // not made by a look, so its absence alone says nothing
	}
	return l
}

func (b *Bus) createStream(ctx context.Context, want streamSpec) error {
	made, err := b.withRoom(ctx, "stream "+want.Name, want.size, func(ctx context.Context, bytes int64) error {
		want.MaxBytes = bytes
		_, err := b.js.CreateStream(ctx, want.StreamConfig)
		return withOther(ctx, b.js, want.StreamConfig, err)
	})
	if made {
		b.log.InfoContext(ctx, "stream created", "stream", want.Name)
	}
	return err
}

// streamDrift names what of a stream's configuration breaks the contract.
func streamDrift(want, have jetstream.StreamConfig) string {
	d := drift{
		{"subjects", slices.Equal(want.Subjects, have.Subjects), want.Subjects, have.Subjects},
		{"retention", want.Retention == have.Retention, want.Retention, have.Retention},
		{"discard", want.Discard == have.Discard, want.Discard, have.Discard},
		{"storage", want.Storage == have.Storage, want.Storage, have.Storage},
		{"replicas", want.Replicas == have.Replicas, want.Replicas, have.Replicas},
		{"duplicate window", have.Duplicates >= want.Duplicates, want.Duplicates, have.Duplicates},
		{"message TTL", have.AllowMsgTTL || !want.AllowMsgTTL, want.AllowMsgTTL, have.AllowMsgTTL},
		{"subject transform", have.SubjectTransform == nil, "none", have.SubjectTransform != nil},
		{"no_ack", !have.NoAck, false, have.NoAck},
	}.String()
	return strings.Join(slices.DeleteFunc([]string{d, limitDrift(have)}, func(s string) bool { return s == "" }), "; ")
}

// limitDrift says whether a stream or bucket may fill the whole store.
func limitDrift(have jetstream.StreamConfig) string {
	return drift{{"max_bytes", have.MaxBytes > 0, "a limit", "unlimited"}}.String()
}

// consumerConfig is the durable consumer of one cloud's commands.
//
// MaxAckPending 1 means one command of a cloud at a time over all bridges, in the order of the stream: the second bridge
// stands by. A command is pulled only when it can be worked on, so AckWait never runs in a buffer; while it is worked on
// it is renewed, so AckWait is only how long a crash goes unnoticed. MaxDeliver is unlimited, since the verdict about a
// command is ours and a broker's count would strand it.
func (b *Bus) consumerConfig(cloud string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: egressConsumer(cloud), Description: "Carries out the commands of " + cloud,
		FilterSubjects: commandSubjects(b.cfg.Prefix, cloud),
		AckPolicy:      jetstream.AckExplicitPolicy, AckWait: b.ackWait, MaxAckPending: 1, MaxDeliver: -1,
	}
}

// egressConsumer is the name of the durable consumer of a cloud's commands.
func egressConsumer(cloud string) string { return "egress-" + cloud }

// ackWait is how long the broker waits for word of a command before it delivers it to somebody else.
const ackWait = 10 * time.Second

func (b *Bus) consumer(ctx context.Context, cloud string) (jetstream.Consumer, error) {
	want := b.consumerConfig(cloud)
	c, err := b.js.Consumer(ctx, b.cfg.Prefix.CommandStream(cloud), want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && b.cfg.Manage:
		if c, err = b.js.CreateConsumer(ctx, b.cfg.Prefix.CommandStream(cloud), want); err != nil {
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
