package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// errNoLetterYet says that an advisory's letter was not found, and that it may be there in a moment: a replica that
// answers may be behind the one that stored it.
var errNoLetterYet = errors.New("no letter yet")

// patientLooks is how often a letter is looked for before it counts as never written.
const patientLooks = 3

// terminated looks at a termination. One of our own has its letter, which was stored before. That of somebody else took the
// command away, and of it only the advisory is left.
func (b *Conn) terminated(ctx context.Context, letters *recentLetters, store DeadLetters, a advisory, msg *nats.Msg) error {
	found, err := letters.has(ctx, a)
	if err != nil || found {
		return err
	}
	if meta, err := msg.Metadata(); err == nil && meta.NumDelivered < patientLooks {
		return errNoLetterYet
	}
	letters.rewind()
	if found, err := letters.has(ctx, a); err != nil || found {
		return err
	}
	if slices.Contains(ourReasons, a.Reason) {
		return nil // the letter was stored before we said so: somebody has dropped it since
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("advisory: %w", err)
	}
	dead := &nats.Msg{Subject: b.cfg.Prefix.DeadCommand(letters.cloud, "", ""), Data: data, Header: nats.Header{}}
	setDeadHeaders(dead.Header, codeTerminated, fmt.Errorf("somebody terminated it on the consumer %s (%s), and there is no letter of the "+
		"bridge about it; its data is lost, the data of this letter is what the broker said", a.Consumer, reasonOr(a.Reason)))
	dead.Header[topology.HeaderDeadPosition] = []string{a.position()}
	dead.Header[topology.HeaderDeadAttempts] = []string{strconv.FormatUint(a.Deliveries, 10)}
	if err := store.GiveUp(ctx, dead, "dead-advisory-"+a.position()+"-"+a.ID, false); err != nil {
		return err
	}
	b.log.WarnContext(ctx, "somebody terminated a command, and its data is lost; what is known is among the dead letters",
		"consumer", a.Consumer, "position", a.position())
	return nil
}

// ourReasons are the words with which the bridge terminates a command: the codes of its letters.
var ourReasons = []string{
	events.CodeInvalid, events.CodeUnknownOperation, events.CodeExpired, events.CodeConflict, events.CodeRefused, events.CodeExhausted,
	events.CodeAmbiguous,
}

func reasonOr(reason string) string {
	if reason == "" {
		return "no reason was given"
	}
	return limit("reason: "+reason, 256)
}

// recentLetters knows the positions of the letters that were stored of late. Advisories come in the order of the letters,
// so each letter is read once and not once for each advisory.
type recentLetters struct {
	bus   *Conn
	cloud string
	next  uint64 // the sequence to go on at, or 0: at the advisory's time
	seen  map[string]bool
	order []string // oldest first
}

const (
	// recentMost bounds how many positions are kept.
	recentMost = 10_000
	// recentBefore is how long before an advisory its letter may have been stored.
	recentBefore = time.Minute
)

// rewind forgets everything, so that the next look begins again at the advisory's time.
func (l *recentLetters) rewind() { l.next, l.seen, l.order = 0, nil, nil }

// has says whether the letter about the advisory's command is there.
func (l *recentLetters) has(ctx context.Context, a advisory) (bool, error) {
	if l.seen[a.position()] {
		return true, nil
	}
	if err := l.read(ctx, a.Time.Add(-recentBefore)); err != nil {
		l.rewind()
		return false, fmt.Errorf("look for the letter about %s: %w", a.position(), err)
	}
	return l.seen[a.position()], nil
}

// read reads the headers of the letters that came since.
func (l *recentLetters) read(ctx context.Context, from time.Time) error {
	cfg := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, FilterSubject: string(l.bus.cfg.Prefix) + ".dead.command.>",
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from, InactiveThreshold: advisoryWait, MemoryStorage: true,
	}
	if l.next > 0 {
		cfg.DeliverPolicy, cfg.OptStartTime, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, l.next
	}
	stream := l.bus.cfg.Prefix.DeadStream(l.cloud)
	c, err := l.bus.js.CreateConsumer(ctx, stream, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = l.bus.js.DeleteConsumer(ctx, stream, c.CachedInfo().Name) }() // else the broker does, in a while
	for left := c.CachedInfo().NumPending; left > 0; {
		batch, err := c.Fetch(int(min(left, 256)), jetstream.FetchMaxWait(AttemptTimeout))
		if err != nil {
			return err
		}
		got := uint64(0)
		for msg := range batch.Messages() {
			got++
			l.add(msg)
		}
		if got == 0 {
			return batch.Error()
		}
		left -= min(got, left)
	}
	return nil
}

func (l *recentLetters) add(msg jetstream.Msg) {
	if meta, err := msg.Metadata(); err == nil {
		l.next = meta.Sequence.Stream + 1
	}
	position := delivery.Header(msg.Headers()).Get(topology.HeaderDeadPosition)
	if position == "" || l.seen[position] {
		return
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	if len(l.order) >= recentMost {
		delete(l.seen, l.order[0])
		l.order = l.order[1:]
	}
	l.seen[position] = true
	l.order = append(l.order, position)
}
