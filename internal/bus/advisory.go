package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// What the broker gives up by itself it tells in advisories, which nobody keeps unless a stream does. With our own
// consumers there is nothing to tell but our own verdicts; but a consumer can be made by an operator with a limit of
// deliveries, and somebody else can take a command out of the queue and terminate it. Then a command would be gone, or lie
// in the queue for good, without a word.

// codeTerminated is the code of a letter about a command that somebody else terminated.
const codeTerminated = "terminated"

// advisoryConsumer is the durable consumer that all bridges share.
const advisoryConsumer = "egress-advisories"

// ensureAdvisories creates the stream of advisories if it is missing. One that cannot be made is told and not more:
// events and commands do without.
func (b *Conn) ensureAdvisories(ctx context.Context, cloud string) {
	if !b.cfg.Manage {
		return
	}
	want := b.cfg.Plan().Advisories(cloud)
	attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
	have, err := b.js.Stream(attempt, want.Name)
	cancel()
	why := ""
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = b.CreateStream(ctx, want)
	case err == nil:
		why = topology.Drift(want.StreamConfig, have.CachedInfo().Config)
	}
	if err != nil {
		why = err.Error()
	}
	if ctx.Err() == nil && b.News(want.Name, why) {
		b.log.WarnContext(ctx, "stream of advisories is not as it should be; what the broker gives up may go unnoticed",
			"stream", want.Name, "error", why)
	}
}

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

// GaveUp tells the sender of a command that the broker has given it up. mistake is why the message could not be read as a
// command, else nil.
type GaveUp func(ctx context.Context, cmd events.Command, mistake, reason error) error

// Advisories makes dead letters of the commands of a cloud that the broker gave up, until ctx ends, and tells their senders.
// Each is read by one of all bridges. Without the stream, or without rights on it, it says so once and goes on trying.
func (b *Conn) Advisories(ctx context.Context, cloud string, gaveUp GaveUp) error {
	select {
	case <-b.StreamsReady(cloud):
	case <-ctx.Done():
		return nil
	}
	letters := &recentLetters{bus: b, cloud: cloud}
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := b.readAdvisories(ctx, cloud, func(ctx context.Context, msg *nats.Msg) error {
			return b.advised(ctx, cloud, letters, msg, gaveUp)
		})
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		if err != nil && b.News(advisoryConsumer+" of "+cloud, err.Error()) {
			b.log.WarnContext(ctx, "advisories cannot be read; what the broker gives up goes unnoticed", "cloud", cloud, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(delivery.Backoff(failures), b.lookEvery)):
		case <-b.closed:
			return nil
		}
	}
	return nil //nolint:nilerr // the end of ctx is the ordinary end
}

// readAdvisories reads until ctx ends or the consumer is lost.
func (b *Conn) readAdvisories(ctx context.Context, cloud string, handle func(context.Context, *nats.Msg) error) error {
	if err := b.AwaitUp(ctx); err != nil {
		return err
	}
	b.ensureAdvisories(ctx, cloud)
	c, err := b.bindAdvisories(ctx, cloud)
	if err != nil {
		return fmt.Errorf("consumer %s: %w", advisoryConsumer, err)
	}
	puller := b.puller(c)
	for ctx.Err() == nil {
		msg, err := puller.Next(ctx)
		switch {
		case msg != nil:
			b.settleAdvisory(ctx, msg, handle)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("pull from %s: %w", advisoryConsumer, err)
		}
	}
	return nil
}

func (b *Conn) bindAdvisories(ctx context.Context, cloud string) (jetstream.Consumer, error) {
	attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
	c, err := b.js.Consumer(attempt, topology.AdvisoryStream(b.cfg.Prefix, cloud), advisoryConsumer)
	cancel()
	if !b.cfg.Manage || !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return c, err
	}
	attempt, cancel = context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	return b.js.CreateConsumer(attempt, topology.AdvisoryStream(b.cfg.Prefix, cloud), jetstream.ConsumerConfig{
		Durable: advisoryConsumer, Description: "Makes dead letters of what the broker gave up",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: advisoryWait, MaxDeliver: -1,
	})
}

// advisoryWait is how long one advisory may take. It is not renewed: to handle it twice is harmless.
const advisoryWait = time.Minute

// settleAdvisory handles an advisory and settles it. One that could not be handled comes again.
func (b *Conn) settleAdvisory(stopping context.Context, msg *nats.Msg, handle func(context.Context, *nats.Msg) error) {
	ctx, cancel := delivery.Grace(stopping, b.cfg.DrainTimeout)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, advisoryWait)
	defer late()
	err := handle(ctx, msg)
	verdict := delivery.Ack
	if err != nil {
		verdict = delivery.Nak(min(delivery.Backoff(0)*4, b.lookEvery))
	}
	if err != nil && !errors.Is(err, errNoLetterYet) {
		b.log.WarnContext(ctx, "an advisory could not be handled; it will come again", "subject", msg.Subject, "error", err)
	}
	if err := b.confirm(ctx, msg, verdict); err != nil {
		b.log.WarnContext(ctx, "an advisory could not be settled; it will come again", "subject", msg.Subject, "error", err)
	}
}

// advised does what an advisory asks for.
func (b *Conn) advised(ctx context.Context, cloud string, letters *recentLetters, msg *nats.Msg, gaveUp GaveUp) error {
	var a advisory
	if err := json.Unmarshal(msg.Data, &a); err != nil || a.Stream != b.cfg.Prefix.CommandStream(cloud) || a.Sequence == 0 {
		b.log.WarnContext(ctx, "an advisory is none that we know; it is dropped", "subject", msg.Subject)
		return nil //nolint:nilerr // it would be the same the next time
	}
	switch a.Type {
	case maxDeliver:
		return b.undeliverable(ctx, cloud, a, gaveUp)
	case terminated:
		return b.terminated(ctx, letters, a, msg)
	}
	return nil
}

// undeliverable takes a command out of the queue that the broker delivers no more: first the letter, then the word to its
// sender, then the message, so that a crash in between does it again and loses nothing.
func (b *Conn) undeliverable(ctx context.Context, cloud string, a advisory, gaveUp GaveUp) error {
	stream, err := b.js.Stream(ctx, a.Stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", a.Stream, err)
	}
	stuck, err := b.StoredMsg(ctx, a.Stream, a.Sequence, "")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // settled after all, or taken away
	}
	if err != nil {
		return fmt.Errorf("message %s: %w", a.position(), err)
	}
	if stuck.Time.After(a.Time.Add(ClockSkew)) {
		return nil // another one: the stream was made anew and counts from 1 again
	}
	reason := fmt.Errorf("the consumer %s delivered it %s without a verdict, and the broker gave it up; factro may have done it",
		a.Consumer, plural.Of(a.Deliveries, "time"))
	cmd, mistake := b.cfg.Prefix.DecodeCommand(stuck.Subject, stuck.Header, stuck.Data, a.position())
	subject := b.cfg.Prefix.DeadCommand(cloud, cmd.Resource, cmd.Operation)
	dead := letterOf(subject, stuck.Subject, stuck.Header, stuck.Data)
	setDeadHeaders(dead.Header, events.CodeUndeliverable, reason)
	dead.Header[headerDeadPosition] = []string{a.position()}
	dead.Header[headerDeadAttempts] = []string{strconv.FormatUint(a.Deliveries, 10)}
	if err := b.giveUp(ctx, packed{burialID(a.position(), stuck.Time), dead}, false); err != nil {
		return err
	}
	if gaveUp != nil {
		if err := gaveUp(ctx, cmd, mistake, reason); err != nil {
			return err
		}
	}
	if err := stream.DeleteMsg(ctx, a.Sequence); err != nil && !isGone(err) {
		return fmt.Errorf("delete message %s: %w", a.position(), err)
	}
	b.log.WarnContext(ctx, "the broker gave a command up; it is among the dead letters", "subject", stuck.Subject,
		"consumer", a.Consumer, "deliveries", a.Deliveries)
	return nil
}

// ClockSkew is how far the clocks of a cluster's servers may be apart.
const ClockSkew = time.Minute

// isGone says whether a message was not there to be deleted.
func isGone(err error) bool {
	var refused *jetstream.APIError
	return errors.Is(err, jetstream.ErrMsgNotFound) || errors.As(err, &refused) && refused.ErrorCode == noMessage
}

// noMessage is the server's code for a sequence that it does not have.
const noMessage = 10043

// letterOf is a dead letter of an original, without our reasons for it.
func letterOf(subject, original string, header nats.Header, data []byte) *nats.Msg {
	dead := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	maps.Copy(dead.Header, header)
	for name := range dead.Header {
		if ofBroker(name) || strings.HasPrefix(name, headerDead) {
			delete(dead.Header, name)
		}
	}
	keepMessageID(dead.Header, header)
	dead.Header[headerDeadSubject] = []string{original}
	return dead
}

// keepMessageID notes the message id of an original, which is the id of a plain command: without it, the command could
// not be sent again as the same one.
func keepMessageID(dead, original nats.Header) {
	if id := delivery.Header(original).Get(events.HeaderMessageID); id != "" {
		dead[headerDeadMessageID] = []string{id}
	}
}

// burialID is the message id of the letter about a command. The time of the message is part of it: a stream that was made
// anew counts from 1 again.
func burialID(position string, stored time.Time) string {
	return "dead-" + position + "-" + strconv.FormatInt(stored.UnixNano(), 36)
}

// onlyForAdvisories says whether a refused permission is one that only the care for what the broker gives up needs. Without
// it, events and commands go on.
func (b *Conn) onlyForAdvisories(violation error) bool {
	r := readRefusal(violation)
	if !r.publish {
		return false
	}
	for _, cloud := range b.cfg.Clouds {
		if r.forAdvisories(b.cfg, cloud) {
			return true
		}
	}
	return false
}

func (r refusal) forAdvisories(c Config, cloud string) bool {
	p := c.Prefix
	commands, dead := p.CommandStream(cloud), p.DeadStream(cloud)
	for _, start := range []string{
		"CONSUMER.LIST." + commands, "STREAM.MSG.DELETE." + commands, "STREAM.MSG.GET." + commands,
		"DIRECT.GET." + commands, "CONSUMER.CREATE." + dead + ".", "CONSUMER.DELETE." + dead + ".",
		"CONSUMER.MSG.NEXT." + dead + ".",
	} {
		if strings.HasPrefix(r.subject, c.API(start)) {
			return true
		}
	}
	return (strings.HasPrefix(r.subject, "$JS.") || strings.HasPrefix(r.subject, c.API(""))) && slices.Contains(strings.Split(r.subject, "."), topology.AdvisoryStream(p, cloud))
}
