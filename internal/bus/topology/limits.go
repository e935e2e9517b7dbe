package topology

import (
	"maps"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

const (
	// DefaultPayload is how large a message may be with a NATS server whose operator says nothing else, EmbeddedPayload with
	// the embedded one.
	DefaultPayload, EmbeddedPayload = 1 << 20, embedded.MaxPayload
	// HeaderRoom is how much of that an event's headers take at most.
	HeaderRoom = 16 << 10
)

// Limits are the sizes that the broker takes, with headers, as they were seen last. What a spool promises while the broker is
// away has to fit into them.
type Limits struct {
	// Payload is the server's max_payload, 0 if it was never seen.
	Payload int64 `json:"max_payload"`
	// Messages is the max_msg_size of the stream of events of each cloud whose stream was seen, 0 if it has none.
	Messages map[string]int64 `json:"max_msg_size,omitempty"`
}

// Of is the largest message of a cloud, 0 if it is not known.
func (l Limits) Of(cloud string) int64 {
	if size := l.Messages[cloud]; size > 0 {
		return min(size, l.Payload)
	}
	return l.Payload
}

// Or fills in what is not known from an earlier time.
func (l Limits) Or(earlier Limits) Limits {
	out := Limits{Payload: l.Payload, Messages: map[string]int64{}}
	if out.Payload == 0 {
		out.Payload = earlier.Payload
	}
	maps.Copy(out.Messages, earlier.Messages)
	maps.Copy(out.Messages, l.Messages)
	return out
}
