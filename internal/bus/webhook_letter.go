package bus

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

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
