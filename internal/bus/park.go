package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// A command that has its verdict, and of which the broker does not take the result or the dead letter although it answers,
// must not hold up the others. What is to be published about it is parked in the object store of its cloud, and the command
// is settled. Recover publishes it once the stream takes it.

// pending is the verdict that a command is decided, and that its result could not be published.
type pending struct {
	result  packed
	verdict error // about the command itself: nil, or a terminal one
	why     error
}

func (p *pending) Error() string { return p.why.Error() }

func (p *pending) Unwrap() []error {
	if p.verdict == nil {
		return []error{p.why}
	}
	return []error{p.verdict, p.why}
}

// Pending returns the verdict that a command is decided, as verdict says, and that its result is to be published later,
// since the broker refuses it now.
func Pending(verdict error, subject string, result event.Event, id string, why error) error {
	msg, err := events.ToMsg(subject, result)
	if err != nil { // no event of ours: there is nothing to publish
		return verdict
	}
	return &pending{packed{id, msg}, verdict, why}
}

// unpublishable says whether to wait for an answer to change is no use, or none within a time that others could wait.
func unpublishable(err error) bool { return Permanent(err) || errors.Is(err, ErrRefusing) }

// giveUp stores a dead letter, or parks it. A whole one is errNotKept if only a part of it could be kept.
func (b *Conn) giveUp(ctx context.Context, dead packed, whole bool) error {
	err := b.sendLetter(ctx, dead.msg, dead.id, whole)
	if err == nil || errors.Is(err, errNotKept) || !unpublishable(err) {
		return err
	}
	return b.park(ctx, token(dead.msg.Subject, 3), err, dead)
}

// parkResult parks the result of a command, and its dead letter, if it has one.
func (b *Conn) parkResult(ctx context.Context, d taken, wait *pending) error {
	all := []packed{wait.result}
	if end, ok := errors.AsType[*terminal](wait.verdict); ok {
		all = append(all, b.letter(ctx, d.msg, end.letter))
	}
	return b.park(ctx, cloudOf(b.cfg.Prefix, d.msg.Subject), wait.why, all...)
}

// park keeps messages of a cloud until they can be published.
func (b *Conn) park(ctx context.Context, cloud string, why error, all ...packed) error {
	last := all[len(all)-1] // the letter, if there is one: of a command there is one only
	// In the order of their parking.
	name := pendingName + time.Now().UTC().Format(parkedTime) + "/" + shortID(last.id)
	if err := b.keep(ctx, cloud, name, all...); err != nil {
		return errors.Join(why, fmt.Errorf("park: %w", err))
	}
	b.metrics.gaveUp(ctx, parked)
	b.log.ErrorContext(ctx, "the broker refuses what is to be published about a command; it is parked, and published once that is possible",
		"subject", last.msg.Subject, "position", delivery.Header(last.msg.Header).Get(headerDeadPosition),
		"bucket", b.cfg.Prefix.OriginalBucket(cloud), "object", name, "error", why)
	b.recoverSoon()
	return nil
}

// requeuePause keeps commands that nothing takes from going round and round.
const requeuePause = time.Second

// requeue puts a command at the end of its queue, as the same command. It is for what neither its stream nor the object
// store takes, and only as long as others wait behind it.
func (b *Conn) requeue(ctx context.Context, d taken) error {
	select {
	case <-time.After(requeuePause):
	case <-ctx.Done():
		return ctx.Err()
	}
	header := maps.Clone(d.msg.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return ofBroker(name) })
	msg := &nats.Msg{Subject: d.msg.Subject, Header: header, Data: d.msg.Data}
	if _, err := events.FromMsg(d.msg.Header, d.msg.Data); d.readable && errors.Is(err, events.ErrPlain) {
		// The id of a plain command is its message id or its place, and both are new now.
		if again, err := repacked(d.msg.Subject, header, d.cmd.Event, d.cmd.Event.ID(), d.cmd.Event.Data()); err == nil {
			msg = again
		}
	}
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	if err := b.Send(ctx, msg, "requeue-"+d.position); err != nil {
		return fmt.Errorf("requeue: %w", err)
	}
	b.metrics.gaveUp(ctx, requeued)
	b.log.ErrorContext(ctx, "neither the stream nor the object store takes what is to be published about a command; it is at the end of its queue again",
		"subject", d.msg.Subject, "position", d.position)
	return nil
}

// isStuck says whether a verdict is none, for a reason that does not pass by itself: it is not the broker's silence, not a
// store that refuses what all commands need, not another bridge, and not the end of this one.
func isStuck(verdict error) bool {
	var (
		end  *terminal
		wait *pending
		ret  *retry
	)
	switch {
	case verdict == nil, errors.As(verdict, &end), errors.As(verdict, &wait), errors.As(verdict, &ret):
		return false
	case errors.Is(verdict, ErrTaken), errors.Is(verdict, ErrNotConnected), errors.Is(verdict, ErrClosed):
		return false
	}
	class := natserr.Of(verdict)
	return class == natserr.Unknown || class == natserr.Permanent
}

// abandoner is a Worker that tells the sender of a command that it was given up without a verdict.
type abandoner interface {
	Undeliverable(ctx context.Context, cmd events.Command, mistake, reason error) error
}

// abandon gives a command up that comes again and again without a verdict.
func (b *Conn) abandon(ctx context.Context, w Worker, d taken, mistake, why error) error {
	reason := fmt.Errorf("there was no verdict on it for %s, and factro may have done it: %w", b.refusingAfter, why)
	b.log.ErrorContext(ctx, "a command cannot be decided and holds up the others; it is given up",
		"subject", d.msg.Subject, "position", d.position, "error", why)
	if a, ok := w.(abandoner); ok {
		if err := a.Undeliverable(ctx, d.cmd, mistake, reason); err != nil && !unpublishable(err) {
			return why // once more
		}
	}
	return Terminal(Letter{
		Subject: b.cfg.Prefix.DeadCommand(cloudOf(b.cfg.Prefix, d.msg.Subject), d.cmd.Resource, d.cmd.Operation),
		Code:    events.CodeUndeliverable, Reason: reason,
	})
}

// cloudOf is the cloud's token of a command's subject, which may be no proper one.
func cloudOf(p events.Prefix, subject string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(subject, string(p)+"."), ".")
	cloud, _, _ := strings.Cut(rest, ".")
	return events.Token(cloud)
}
