package advisory

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// undeliverable takes a command out of the queue that the broker delivers no more: first the dead letter, then the report to its
// sender, then the message, so that a crash in between repeats steps and loses nothing.
func (r *Reader) undeliverable(ctx context.Context, a advisory) error {
	stream, err := r.conn.JetStream().Stream(ctx, a.Stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", a.Stream, err)
	}
	stuck, err := stored.On(r.conn).Get(ctx, a.Stream, a.Sequence, "")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // settled after all, or taken away
	}
	if err != nil {
		return fmt.Errorf("message %s: %w", a.position(), err)
	}
	if stuck.Time.After(a.Time.Add(topology.ClockSkew)) {
		return nil // another one: the stream was created again and counts from 1 again
	}
	reason := fmt.Errorf("the consumer %s delivered it %s without a verdict, and the broker gave it up; factro may have done it",
		a.Consumer, plural.Of(a.Deliveries, "time"))
	prefix := r.conn.Settings().Prefix
	cmd, mistake := prefix.DecodeCommand(stuck.Subject, stuck.Header, stuck.Data, a.position())
	dead := deadletter.Copy(prefix.DeadCommand(r.cloud, cmd.Resource, cmd.Operation), stuck.Subject, stuck.Header, stuck.Data)
	deadletter.SetReason(dead.Header, events.CodeUndeliverable, reason)
	deadletter.SetDelivery(dead.Header, a.position(), a.Deliveries)
	if err := r.letters.GiveUp(ctx, dead, deadletter.ID(a.position(), stuck.Time), false); err != nil {
		return err
	}
	if r.gaveUp != nil {
		if err := r.gaveUp(ctx, cmd, mistake, reason); err != nil {
			return err
		}
	}
	if err := stream.DeleteMsg(ctx, a.Sequence); err != nil && !natserr.NoMessage(err) {
		return fmt.Errorf("delete message %s: %w", a.position(), err)
	}
	r.log.WarnContext(ctx, "the broker gave a command up; it is among the dead letters", "subject", stuck.Subject,
		"consumer", a.Consumer, "deliveries", a.Deliveries)
	return nil
}
