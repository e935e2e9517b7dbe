package record

import (
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Headers of a spooled message, beside those that it goes to the broker with.
const (
	headerPrefix  = "Factro-Spool-"
	headerSubject = headerPrefix + "Subject" // where it goes
	headerID      = headerPrefix + "Id"      // its message id
	headerTried   = headerPrefix + "Tried"   // set if the broker may have it already
)

// Record is a message of the spool, as it was read from the disk.
type Record struct {
	// Sequence is its place on the disk, Stored when it came there.
	Sequence uint64
	Stored   time.Time
	// Msg is the message for the broker, and ID its message id.
	Msg *nats.Msg
	ID  string
	// Event says that it is an event, and not a dead letter.
	Event bool
	// Entity is what it keeps its order of, see EntityOf.
	Entity string
	// Suspect says that the broker may have it.
	Suspect bool
}

// Pack makes a message for the broker one for the disk. tried says that the broker may have it already.
func Pack(msg *nats.Msg, cloud, id string, tried bool) *nats.Msg {
	packed := &nats.Msg{Subject: disk.Subject(cloud), Data: msg.Data, Header: maps.Clone(msg.Header)}
	packed.Header[headerSubject], packed.Header[headerID] = []string{msg.Subject}, []string{percent.Encode(id)}
	if tried {
		packed.Header[headerTried] = []string{"1"}
	}
	return packed
}

// Unpack makes a message from the disk what it was to be for the broker. old is the last sequence that was there when the disk
// was opened.
func Unpack(raw *jetstream.RawStreamMsg, old uint64) Record {
	msg := &nats.Msg{Data: raw.Data, Header: nats.Header{}}
	for name, values := range raw.Header {
		if !strings.HasPrefix(name, headerPrefix) && !delivery.IsBrokerHeader(name) {
			msg.Header[name] = values
		}
	}
	own := delivery.Header(raw.Header)
	msg.Subject = own.Get(headerSubject)
	out := Record{
		Sequence: raw.Sequence, Stored: raw.Time, Msg: msg, ID: decoded(own.Get(headerID)),
		Suspect: raw.Sequence <= old || own.Get(headerTried) != "",
	}
	// The subject is all that the disk has of the destination. This is the one place where it is read.
	prefix, _, _ := strings.Cut(msg.Subject, ".") // perhaps not the configured one: somebody may have changed that
	if to, err := events.Prefix(prefix).ParseEvent(msg.Subject); err == nil {
		out.Event, out.Entity = true, EntityOf(to, decoded(delivery.Header(msg.Header).Get("ce-subject")))
	}
	return out
}

// decoded is the value of a header. We wrote it; should it be damaged, it is still the same each time.
func decoded(text string) string {
	if value, err := events.DecodeHeader(text); err == nil {
		return value
	}
	return text
}

// EntityOf is what events keep their order of: the entity of their destination. If its name can be no token, it is the event's
// own subject, beside the cloud. An event without an entity id has no order.
func EntityOf(to events.EventAddress, about string) string {
	switch {
	case events.Token(to.ID) != events.Token(""):
		return to.Cloud + "." + events.Token(to.Resource) + "." + to.ID
	case about == "":
		return ""
	}
	return to.Cloud + " " + about
}
