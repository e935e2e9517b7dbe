package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/hold"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// settle carries out the verdict. It says whether the command is gone from its stream, and else when to handle it again. A failure
// to settle is only logged: the command is handled again, and the worker recognises it. What the broker refuses for good, or again
// and again, is parked, so that the next command of its lane can be carried out.
func (q *cloudQueue) settle(ctx context.Context, span trace.Span, d delivered, verdict error) (gone bool, after time.Duration) {
	var (
		how   string
		err   error
		end   *terminal
		wait  *pending
		again *retry
	)
	after = delivery.Backoff(int(min(d.redelivered, 10)))
	switch {
	case verdict == nil:
		how = "ack"
		gone, err = q.conclude(ctx, d, nil, delivery.Ack)
	case errors.As(verdict, &wait):
		how = "park"
		gone, err = q.conclude(ctx, d, q.parkResult(ctx, d, wait), delivery.Ack)
	case errors.As(verdict, &end):
		how = "term"
		dead := d.letter(ctx, end.letter)
		sequence, stored := q.letters.GiveUpCommand(ctx, dead)
		if stored == nil {
			stored = q.holds.Hold(ctx, hold.Hold{Lane: d.item.Lane, Position: d.position, Subject: dead.Msg.Subject, Letter: sequence})
		}
		gone, err = q.conclude(ctx, d, stored, delivery.Term(end.letter.Code))
	case errors.As(verdict, &again):
		how, after = "nak", again.after
		if again.alone {
			index.Alone(q.index, d.item)
		}
	default:
		how = "nak"
	}
	span.AddEvent(how)
	switch { // the code, not the text: the text can quote the command's data
	case end != nil:
		span.SetStatus(codes.Error, end.letter.Code)
	case verdict != nil && (again == nil || !again.alone):
		span.SetStatus(codes.Error, "interrupted")
	}
	if err != nil {
		span.RecordError(err)
		q.log.WarnContext(ctx, "command could not be settled; it will be handled again", "subject", d.msg.Subject, "verdict", how, "error", err)
	}
	return gone, after
}

// parkResult parks the result of a command, and its dead letter, if it has one.
func (q *cloudQueue) parkResult(ctx context.Context, d delivered, wait *pending) error {
	all := []deadletter.PendingPublish{wait.result}
	if end, ok := errors.AsType[*terminal](wait.verdict); ok {
		all = append(all, d.letter(ctx, end.letter))
	}
	return q.letters.Park(ctx, q.cloud, wait.why, all...)
}

// conclude ends a command whose dead letter or parked result was stored, and has one handled again whose was not. If nothing takes
// it, the command goes to the end of the queue, so that it does not delay those behind it.
func (q *cloudQueue) conclude(ctx context.Context, d delivered, stored error, verdict delivery.Verdict) (gone bool, _ error) {
	switch {
	case stored == nil:
	case errors.Is(stored, deadletter.ErrNotKept) && d.behind > 0:
		if err := q.requeue(ctx, d); err != nil {
			return false, errors.Join(stored, err)
		}
		verdict = delivery.Ack
	default:
		return false, stored
	}
	err := q.confirm(ctx, d, verdict)
	return err == nil, err
}

// confirm takes a command out of its stream, by a verdict on its delivery if there is one, and waits until the broker has done so.
func (q *cloudQueue) confirm(ctx context.Context, d delivered, verdict delivery.Verdict) error {
	for began := time.Now(); ; {
		bound, cancel := q.binding.during(ctx)
		err := q.remove(bound, d, verdict)
		// The consumer was created again meanwhile, or will be, and nothing knows the command yet.
		again := bound.Err() != nil || q.index.Reply(d.item) == "" && time.Since(began) < delivery.LostAfter
		cancel()
		if err == nil || !again || !delivery.Pause(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

// remove takes a command out of its stream, by way of the consumer that is bound.
func (q *cloudQueue) remove(ctx context.Context, d delivered, verdict delivery.Verdict) error {
	if reply := q.index.Reply(d.item); reply != "" {
		return delivery.Confirm(ctx, q.conn, q.conn.NATS(), reply, verdict)
	}
	m, err := q.read(ctx, d.item.Seq, "")
	switch {
	case natserr.NoMessage(err), errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("take a command out of %s: %w", q.stream, err)
	case !m.Time.Equal(d.stored): // of a stream that was made again
		return nil
	}
	s, err := q.conn.JetStream().Stream(ctx, q.stream)
	if err != nil {
		return fmt.Errorf("take a command out of %s: %w", q.stream, err)
	}
	if err := s.DeleteMsg(ctx, d.item.Seq); err != nil && !natserr.NoMessage(err) {
		return fmt.Errorf("take command %d out of %s: %w", d.item.Seq, q.stream, err)
	}
	return nil
}

// requeuePause slows down commands that nothing takes and that would otherwise go round and round.
const requeuePause = time.Second

// requeue puts a command at the end of its queue, as the same command. It is for what neither its stream nor the object
// store takes, and only as long as others wait behind it.
func (q *cloudQueue) requeue(ctx context.Context, d delivered) error {
	select {
	case <-time.After(requeuePause):
	case <-ctx.Done():
		return ctx.Err()
	}
	header := maps.Clone(d.msg.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return delivery.IsBrokerHeader(name) })
	msg := &nats.Msg{Subject: d.msg.Subject, Header: header, Data: d.msg.Data}
	if _, err := events.FromMsg(d.msg.Header, d.msg.Data); d.readable && errors.Is(err, events.ErrPlain) {
		// The id of a plain command is its message id or its position, and both are new now.
		if again, err := deadletter.Repack(d.msg.Subject, header, d.cmd.Event, d.cmd.Event.ID(), d.cmd.Event.Data()); err == nil {
			msg = again
		}
	}
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	if err := q.publish.Send(ctx, msg, "requeue-"+d.position); err != nil {
		return fmt.Errorf("requeue: %w", err)
	}
	q.letters.CountRequeued(ctx)
	q.log.ErrorContext(ctx, "neither the stream nor the object store takes what is to be published about a command; it is at the end of its queue again",
		"subject", d.msg.Subject, "position", d.position)
	return nil
}
