package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// settleTimeout bounds how long a verdict may take on its way to the broker once the grace is over.
const settleTimeout = time.Second

// settle carries out the verdict. A failure to settle is logged only: the broker delivers the message again, and the
// worker recognises it.
func (b *Bus) settle(ctx context.Context, span trace.Span, msg *nats.Msg, redelivered uint64, verdict error) {
	var (
		how = "ack"
		err error
		end *terminal
		ret *retry
	)
	switch {
	case verdict == nil:
		err = b.confirm(ctx, msg, "+ACK")
	case errors.As(verdict, &end):
		how = "term"
		if err = b.bury(ctx, msg, end.letter); err == nil {
			err = b.confirm(ctx, msg, "+TERM "+end.letter.Code)
		} else {
			err = errors.Join(err, b.confirm(ctx, msg, nak(backoff(int(min(redelivered, 10))))))
		}
	case errors.As(verdict, &ret):
		how, err = "nak", b.confirm(ctx, msg, nak(ret.after))
	default:
		how, err = "nak", b.confirm(ctx, msg, nak(backoff(int(min(redelivered, 10)))))
	}
	span.AddEvent(how)
	switch { // the code, not the text: that can quote the command's data
	case end != nil:
		span.SetStatus(codes.Error, end.letter.Code)
	case verdict != nil:
		span.SetStatus(codes.Error, "interrupted")
	}
	if err != nil {
		span.RecordError(err)
		b.log.WarnContext(ctx, "command could not be settled; it will be delivered again", "subject", msg.Subject, "verdict", how, "error", err)
	}
}

// nak asks the broker to deliver the message again after d, at once if that is 0.
func nak(d time.Duration) string {
	if d <= 0 {
		return "-NAK"
	}
	return fmt.Sprintf(`-NAK {"delay": %d}`, d.Nanoseconds())
}

// confirm sends a verdict and waits until the broker has heard it: an acknowledgement that is lost brings the command
// back, and so does a lost end, after its sender was told that the command is dead. The client can confirm an
// acknowledgement only; the broker answers every verdict. While the connection is away it waits, as long as ctx allows.
func (b *Bus) confirm(ctx context.Context, msg *nats.Msg, verdict string) error {
	for n := 1; ; n++ {
		if err := b.waitUp(ctx); err != nil {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		_, err := b.nc.RequestWithContext(attempt, msg.Reply, []byte(verdict))
		cancel()
		switch {
		case err == nil:
			return nil
		case isDisconnect(err):
			n-- // it went nowhere
		case n == publishAttempts || !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		select { // let a lost connection be noticed
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// Headers of dead letters, beside those of the original message.
const (
	headerDead         = "Factro-Dead-"
	headerDeadCode     = headerDead + "Code"
	headerDeadReason   = headerDead + "Reason"
	headerDeadTime     = headerDead + "Time"
	headerDeadSubject  = headerDead + "Subject"
	headerDeadPosition = headerDead + "Position"
	headerDeadAttempts = headerDead + "Deliveries"
	headerDeadStatus   = headerDead + "Status"
	headerDeadLog      = headerDead + "Log"
	headerDeadTrace    = headerDead + "Trace"
	// The original's message id, which of a plain command is its id.
	headerDeadMessageID = headerDead + "Message-Id"
	headerDeadCut       = headerDead + "Cut" // the size of the data, if only its beginning is kept
)

func setDeadHeaders(h nats.Header, code string, reason error) {
	h[headerDeadCode] = []string{code}
	// An answer of factro's can hold anything, an HTML page for example. A header is one line.
	h[headerDeadReason] = []string{events.EncodeHeader(limit(reason.Error(), 1024))}
	h[headerDeadTime] = []string{time.Now().UTC().Format(time.RFC3339Nano)}
}

// bury stores the message, as it came, among the dead letters.
func (b *Bus) bury(ctx context.Context, msg *nats.Msg, letter Letter) error {
	dead := &nats.Msg{Subject: letter.Subject, Data: msg.Data, Header: nats.Header{}}
	maps.Copy(dead.Header, msg.Header)
	for name := range dead.Header {
		// Instructions to the broker, which it would follow again, and what an earlier death has left.
		if strings.HasPrefix(name, "Nats-") || strings.HasPrefix(name, headerDead) {
			delete(dead.Header, name)
		}
	}
	keepMessageID(dead.Header, msg.Header)
	setDeadHeaders(dead.Header, letter.Code, letter.Reason)
	letter.describe(ctx, dead.Header)
	dead.Header[headerDeadSubject] = []string{msg.Subject}
	id := "dead-" + msg.Subject
	if meta, err := msg.Metadata(); err == nil {
		position := meta.Stream + ":" + strconv.FormatUint(meta.Sequence.Stream, 10)
		dead.Header[headerDeadPosition] = []string{position}
		dead.Header[headerDeadAttempts] = []string{strconv.FormatUint(meta.NumDelivered, 10)}
		// The stream's creation is part of the id: a stream that was made anew counts from 1 again.
		id = "dead-" + position + "-" + strconv.FormatInt(meta.Timestamp.UnixNano(), 36)
	}
	err := b.send(ctx, dead, id)
	if errors.Is(err, events.ErrTooLarge) {
		err = b.send(ctx, cut(dead), id)
	}
	return err
}

// cut makes a dead letter fit into a message: the command came near the limit, and our headers took it over. Its
// beginning is less than all of it, but a command that cannot be buried would come back for ever and hold up the others.
func cut(dead *nats.Msg) *nats.Msg {
	const mostData, mostHeaders, mostHeader = 64 << 10, 16 << 10, 1 << 10
	small := &nats.Msg{Subject: dead.Subject, Data: dead.Data[:min(len(dead.Data), mostData)], Header: nats.Header{}}
	left := mostHeaders
	for name, values := range dead.Header {
		size := len(name)
		for _, v := range values {
			size += len(v)
		}
		if size <= min(left, mostHeader) {
			small.Header[name] = values
			left -= size
		}
	}
	for _, name := range []string{headerDeadCode, headerDeadReason, headerDeadTime, headerDeadSubject, headerDeadPosition, headerDeadAttempts, headerDeadStatus, headerDeadTrace} {
		if values, ok := dead.Header[name]; ok {
			small.Header[name] = values
		}
	}
	small.Header[headerDeadCut] = []string{strconv.Itoa(len(dead.Data))}
	return small
}

// backoff grows from a quarter of a second to half a minute, with jitter so that many do not come back together.
func backoff(failures int) time.Duration {
	d := min(250*time.Millisecond<<min(failures, 10), 30*time.Second)
	return d/2 + rand.N(d/2)
}

func limit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
