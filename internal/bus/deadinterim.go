package bus

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// DeadLetters stores dead letters. It is handed in by internal/bridge; see bus/deadletter.
type DeadLetters interface {
	// Quarantine stores bytes that could not be made into an event.
	Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte, request http.Header) error
	// GiveUp stores a dead letter, or parks it. With whole it returns ErrNotKept if only a part of it could be kept.
	GiveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) error
}

// codeTerminated is the code of a letter about a command that somebody else terminated.
const codeTerminated = "terminated"

func setDeadHeaders(h nats.Header, code string, reason error) {
	h[topology.HeaderDeadCode] = []string{code}
	h[topology.HeaderDeadReason] = []string{percent.Encode(limit(reason.Error(), 1024))}
	h[topology.HeaderDeadTime] = []string{time.Now().UTC().Format(time.RFC3339Nano)}
}

func setRequest(h nats.Header, request http.Header) {
	if len(request) == 0 {
		return
	}
	if text, err := json.Marshal(request); err == nil {
		h[topology.HeaderDeadRequest] = []string{percent.Encode(string(text))}
	}
}

// letterOf is a dead letter of an original, without our reasons for it.
func letterOf(subject, original string, header nats.Header, data []byte) *nats.Msg {
	dead := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	maps.Copy(dead.Header, header)
	for name := range dead.Header {
		if delivery.IsBrokerHeader(name) || strings.HasPrefix(name, topology.HeaderDead) {
			delete(dead.Header, name)
		}
	}
	if id := delivery.Header(header).Get(events.HeaderMessageID); id != "" {
		dead.Header[topology.HeaderDeadMessageID] = []string{id}
	}
	dead.Header[topology.HeaderDeadSubject] = []string{original}
	return dead
}

func burialID(position string, stored time.Time) string {
	return "dead-" + position + "-" + strconv.FormatInt(stored.UnixNano(), 36)
}

func limit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
