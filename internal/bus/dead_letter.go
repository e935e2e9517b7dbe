package bus

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// CodeTerminated is the code of a dead letter about a command that somebody else terminated.
const CodeTerminated = "terminated"

// Codes of dead letters about webhooks that the broker does not take: no message can hold it, or another reason.
const (
	codeTooLarge = "too_large"
	codeRefused  = "refused"
)

// ErrNotKept says that the object store does not take an original, so that its dead letter has to do without.
var ErrNotKept = errNotKept

// Quarantine stores bytes that could not be made into an event, with the reason, among the dead letters. request are the
// headers that they came with, without secrets; nil if there are none.
func (b *Conn) Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte, request http.Header) error {
	ctx, span := b.tracer.Start(ctx, "publish "+kind(subject), producerSpan...)
	defer span.End()
	return b.published(ctx, span, subject, b.sendLetter(ctx, UnusableWebhook(subject, code, reason, data, request), id, false))
}

// GiveUp stores a dead letter, or parks it until its stream takes it. A whole one is ErrNotKept if only a part of it could be
// kept.
func (b *Conn) GiveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) error {
	return b.giveUp(ctx, packed{id, dead}, whole)
}

// UnusableWebhook is the dead letter of a webhook that could not be made into an event.
func UnusableWebhook(subject, code string, reason error, data []byte, request http.Header) *nats.Msg {
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	setDeadHeaders(msg.Header, code, reason)
	setRequest(msg.Header, request)
	return msg
}

// RefusedWebhook is the dead letter of a message about a webhook that the broker does not take. What is a dead letter already
// keeps its own reason.
func RefusedWebhook(subject string, refused *nats.Msg, id string, reason error) *nats.Msg {
	dead := &nats.Msg{Subject: subject, Data: refused.Data, Header: maps.Clone(refused.Header)}
	if dead.Header[headerDeadCode] != nil {
		return dead
	}
	code := codeRefused
	if errors.Is(reason, events.ErrTooLarge) {
		code = codeTooLarge
	}
	setDeadHeaders(dead.Header, code, reason)
	dead.Header[headerDeadSubject] = []string{refused.Subject}
	dead.Header[headerDeadMessageID] = []string{percent.Encode(id)}
	return dead
}

// DeadCopy is a dead letter of an original, without a reason yet.
func DeadCopy(subject, original string, header nats.Header, data []byte) *nats.Msg {
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

// SetDeadReason writes the headers that every dead letter has.
func SetDeadReason(h nats.Header, code string, reason error) { setDeadHeaders(h, code, reason) }

// SetDeadDelivery writes the headers that say which message of which stream it was, and how often it was delivered.
func SetDeadDelivery(h nats.Header, position string, deliveries uint64) {
	h[headerDeadPosition] = []string{position}
	h[headerDeadAttempts] = []string{strconv.FormatUint(deliveries, 10)}
}

// DeadPosition is the position that the headers of a dead letter name, or "".
func DeadPosition(h delivery.Header) string { return h.Get(headerDeadPosition) }

// keepMessageID notes the message id of an original. It is the id of a plain command: without it, the command could
// not be sent again as the same one.
func keepMessageID(dead, original nats.Header) {
	if id := delivery.Header(original).Get(events.HeaderMessageID); id != "" {
		dead[headerDeadMessageID] = []string{id}
	}
}

// DeadID is the message id of the dead letter about a command. The time of the command is part of it, because a stream that was
// created again counts from 1 again.
func DeadID(position string, stored time.Time) string {
	return "dead-" + position + "-" + strconv.FormatInt(stored.UnixNano(), 36)
}

// IsGone says whether a message was not there to be deleted.
func IsGone(err error) bool {
	var refused *jetstream.APIError
	return errors.Is(err, jetstream.ErrMsgNotFound) || errors.As(err, &refused) && refused.ErrorCode == noMessage
}

// noMessage is the server's code for a sequence that it does not have.
const noMessage = 10043
