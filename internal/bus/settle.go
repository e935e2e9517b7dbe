package bus

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
)

// settleTimeout bounds how long a verdict may take on its way to the broker once the grace is over.
const settleTimeout = time.Second

// settle carries out the verdict. A failure to settle is logged only: the broker delivers the message again, and the
// worker recognises it. What the broker refuses for good, or again and again, is parked, so that the next command can
// come.
func (b *Conn) settle(ctx context.Context, span trace.Span, d taken, verdict error) {
	var (
		how  string
		err  error
		end  *terminal
		wait *pending
		ret  *retry
		msg  = d.msg
		late = delivery.Nak(delivery.Backoff(int(min(d.redelivered, 10))))
	)
	switch {
	case verdict == nil:
		how, err = "ack", b.confirm(ctx, msg, delivery.Ack)
	case errors.As(verdict, &wait):
		how, err = "park", b.parkResult(ctx, d, wait)
		err = b.conclude(ctx, d, err, delivery.Ack, late)
	case errors.As(verdict, &end):
		how, err = "term", b.bury(ctx, msg, end.letter)
		err = b.conclude(ctx, d, err, delivery.Term(end.letter.Code), late)
	case errors.As(verdict, &ret):
		how, err = "nak", b.confirm(ctx, msg, delivery.Nak(ret.after))
	default:
		how, err = "nak", b.confirm(ctx, msg, late)
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

// conclude ends a command whose letter, or what is parked of it, was stored, and brings back one of which it was not. One
// that nothing takes goes to the end of the queue, so that it does not hold up those behind it.
func (b *Conn) conclude(ctx context.Context, d taken, stored error, verdict, again delivery.Verdict) error {
	switch {
	case stored == nil:
		return b.confirm(ctx, d.msg, verdict)
	case errors.Is(stored, errNotKept) && d.others > 0:
		if err := b.requeue(ctx, d); err != nil {
			return errors.Join(stored, err, b.confirm(ctx, d.msg, again))
		}
		return b.confirm(ctx, d.msg, delivery.Ack)
	}
	return errors.Join(stored, b.confirm(ctx, d.msg, again))
}

// confirm sends a verdict and waits until the broker has it.
func (b *Conn) confirm(ctx context.Context, msg *nats.Msg, verdict delivery.Verdict) error {
	return delivery.Confirm(ctx, b, b.nc, msg.Reply, verdict)
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
	// The name under which the whole original is in the object store for originals, if the letter holds only a part of it.
	headerDeadOriginal = headerDead + "Original"
	// The headers of the request that a webhook came with, without secrets, as JSON.
	headerDeadRequest = headerDead + "Request"
)

// setRequest writes the headers of the request that a webhook came with.
func setRequest(h nats.Header, request http.Header) {
	if len(request) == 0 {
		return
	}
	if text, err := json.Marshal(request); err == nil { // texts
		h[headerDeadRequest] = []string{percent.Encode(string(text))}
	}
}

func setDeadHeaders(h nats.Header, code string, reason error) {
	h[headerDeadCode] = []string{code}
	// An answer of factro's can hold anything, an HTML page for example. A header is one line.
	h[headerDeadReason] = []string{percent.Encode(limit(reason.Error(), 1024))}
	h[headerDeadTime] = []string{time.Now().UTC().Format(time.RFC3339Nano)}
}

// bury stores the message, as it came, among the dead letters, or parks it.
func (b *Conn) bury(ctx context.Context, msg *nats.Msg, letter Letter) error {
	dead := b.letter(ctx, msg, letter)
	return b.giveUp(ctx, dead, false)
}

// letter is the dead letter of a message, and its message id.
func (b *Conn) letter(ctx context.Context, msg *nats.Msg, letter Letter) packed {
	dead := &nats.Msg{Subject: letter.Subject, Data: msg.Data, Header: nats.Header{}}
	maps.Copy(dead.Header, msg.Header)
	for name := range dead.Header {
		// Instructions to the broker, which it would follow again, and what an earlier death has left.
		if ofBroker(name) || strings.HasPrefix(name, headerDead) {
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
	return packed{id, dead}
}

func limit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
