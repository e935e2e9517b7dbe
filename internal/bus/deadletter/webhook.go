package deadletter

import (
	"errors"
	"maps"
	"net/http"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Codes of dead letters about webhooks that the broker does not take: no message can hold it, or another reason.
const (
	codeTooLarge = "too_large"
	codeRefused  = "refused"
)

// UnusableWebhook is the dead letter of a webhook that could not be made into an event.
func UnusableWebhook(subject, code string, reason error, data []byte, request http.Header) *nats.Msg {
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	SetReason(msg.Header, code, reason)
	SetRequest(msg.Header, request)
	return msg
}

// RefusedWebhook is the dead letter of a message about a webhook that the broker does not take. What is a dead letter already
// keeps its own reason.
func RefusedWebhook(subject string, refused *nats.Msg, id string, reason error) *nats.Msg {
	dead := &nats.Msg{Subject: subject, Data: refused.Data, Header: maps.Clone(refused.Header)}
	if dead.Header[topology.HeaderDeadCode] != nil {
		return dead
	}
	code := codeRefused
	if errors.Is(reason, events.ErrTooLarge) {
		code = codeTooLarge
	}
	SetReason(dead.Header, code, reason)
	dead.Header[topology.HeaderDeadSubject] = []string{refused.Subject}
	dead.Header[topology.HeaderDeadMessageID] = []string{percent.Encode(id)}
	return dead
}
