// Package natserr classes what NATS answers to a publish, to a write of a key-value or object store, and to a request for
// a stream or a consumer: whether to send the same again is any use. It is one table for all parts of the bridge and for
// pkg/events, and imports none of them.
package natserr

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Class says what an error means for the message that met it.
type Class int

const (
	// Unknown is an error that the table does not know. It is worth another attempt, but not for ever.
	Unknown Class = iota
	// Passing is the state of the connection, the broker or the stream. The same message can be taken later.
	Passing
	// NoRoom is Passing, and what helps is room: the store, the stream or the account is full.
	NoRoom
	// Permanent is the message's own fault. It is not taken as it is, however often it is sent.
	Permanent
)

func (c Class) String() string {
	switch c {
	case Passing:
		return "passing"
	case NoRoom:
		return "no room"
	case Permanent:
		return "permanent"
	case Unknown:
	}
	return "unknown"
}

// Of returns the class of an error. That of nil is Unknown.
func Of(err error) Class {
	if refused, ok := Refusal(err); ok {
		return ofCode(refused)
	}
	for _, known := range local {
		if errors.Is(err, known.err) {
			return known.class
		}
	}
	return Unknown
}

// Refusal returns the error that the server answered with. An error that came about on this side is none.
func Refusal(err error) (*jetstream.APIError, bool) {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return refused, ok && refused != nil
}

// NoStream says whether the stream that was asked for is not there.
func NoStream(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }

// TooLarge says whether a message is larger than the server, its limit on headers, or an operator's limit on the stream
// allows. A smaller form of it may be taken.
func TooLarge(err error) bool {
	if refused, ok := Refusal(err); ok {
		return refused.ErrorCode == msgTooLarge || refused.ErrorCode == headerTooLarge
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, ErrHeader)
}

// Conflict says whether somebody else has written meanwhile what a write expected to be as it was. The write is refused for
// good, and another one is not.
func Conflict(err error) bool {
	refused, ok := Refusal(err)
	return ok && (refused.ErrorCode == 10070 || refused.ErrorCode == 10071 || refused.ErrorCode == 10164)
}

// Disconnected says whether something failed only because the connection was away: it went nowhere.
func Disconnected(err error) bool {
	return errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, nats.ErrDisconnected)
}

// Answered says whether an error is the broker's word on a message or on its stream, and not that of a connection that is
// away, of silence, or of an election. Only what is answered can be refused again and again.
func Answered(err error) bool {
	if refused, ok := Refusal(err); ok {
		return ofCode(refused) != Passing || refused.Code < 500
	}
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, ErrOtherStream) || errors.Is(err, ErrNoAck) || errors.Is(err, ErrNotKept) ||
		Of(err) == Permanent || Of(err) == Unknown
}

// Outage says whether a request found nobody who could answer it for now: the connection is away, or the broker starts. What
// is not there on a broker that answers is a mistake, and no outage.
func Outage(err error) bool {
	if refused, ok := Refusal(err); ok {
		return refused.Code >= 500 || ofCode(refused) == Passing && refused.Code != 404
	}
	return Disconnected(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders)
}

// MaxHeader is how many bytes of headers a stream takes, the first line and the empty one at the end included.
const MaxHeader = 64<<10 - 1

// ErrHeader says that the headers of a message are larger than any stream takes.
var ErrHeader = errors.New("header size exceeds the maximum")

// CheckHeader returns ErrHeader for headers that the server would refuse: it spares the round trip.
func CheckHeader(h nats.Header) error {
	if size := HeaderSize(h); size > MaxHeader {
		return fmt.Errorf("%w: %d bytes, a stream takes %d", ErrHeader, size, MaxHeader)
	}
	return nil
}

// HeaderSize is how many bytes the headers of a message have on the wire.
func HeaderSize(h nats.Header) int {
	if len(h) == 0 {
		return 0
	}
	size := len("NATS/1.0\r\n") + len("\r\n")
	for name, values := range h {
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size
}

// local classes the errors of the client library and of this side.
var local = []struct {
	err   error
	class Class
}{
	{ErrHeader, Permanent},
	{ErrOtherStream, Passing}, // an operator can take the subject from it
	{ErrNoAck, Passing},       // as well
	{ErrNotKept, Passing},     // as well
	{nats.ErrMaxPayload, Permanent},
	{nats.ErrBadSubject, Permanent},
	{nats.ErrBadHeaderMsg, Permanent},
	{jetstream.ErrInvalidSubject, Permanent},
	{jetstream.ErrInvalidKey, Permanent},
	{nats.ErrHeadersNotSupported, Passing}, // of this server; the next one may
	{nats.ErrPermissionViolation, Passing}, // an operator can grant it
	{nats.ErrAuthorization, Passing},
	{jetstream.ErrNoStreamResponse, Passing},
	{nats.ErrNoResponders, Passing},
	{nats.ErrTimeout, Passing},
	{nats.ErrConnectionClosed, Passing},
	{jetstream.ErrConnectionClosed, Passing},
	{nats.ErrConnectionReconnecting, Passing},
	{nats.ErrReconnectBufExceeded, Passing},
	{nats.ErrDisconnected, Passing},
	{nats.ErrConnectionDraining, Passing},
	{nats.ErrNoServers, Passing},
	{nats.ErrStaleConnection, Passing},
	{jetstream.ErrServerShutdown, Passing},
	{jetstream.ErrNoHeartbeat, Passing},
	{jetstream.ErrConsumerLeadershipChanged, Passing},
	{jetstream.ErrBucketNotFound, Passing}, // it is created again, or the operator makes it
	{context.DeadlineExceeded, Passing},
	{context.Canceled, Passing},
}

// Codes of the server, as in its errors.json.
const (
	msgTooLarge    jetstream.ErrorCode = 10054
	headerTooLarge jetstream.ErrorCode = 10097
	storeFailed    jetstream.ErrorCode = 10077
	// lastCode is the highest code of the server that the table was made for.
	lastCode jetstream.ErrorCode = 10228
)

// ofCode follows the rule for all codes, but for the exceptions: with an HTTP status of 4xx the request is wrong, with 5xx
// the server is not able to. Of a code that a newer server has made nobody knows what it means.
func ofCode(refused *jetstream.APIError) Class {
	if refused.ErrorCode == storeFailed {
		return ofStore(refused.Description)
	}
	if class, ok := exceptions[refused.ErrorCode]; ok {
		return class
	}
	switch {
	case refused.ErrorCode < 10000 || refused.ErrorCode > lastCode:
		return Unknown
	case refused.Code == 408, refused.Code == 409, refused.Code == 429, refused.Code >= 500:
		return Passing
	case refused.Code >= 400:
		return Permanent
	}
	return Unknown
}

// ofStore reads the one code that stands for all that a store can say.
func ofStore(why string) Class {
	switch why = strings.ToLower(why); {
	case strings.Contains(why, "message too large"):
		return Permanent
	case strings.Contains(why, "maximum "), strings.Contains(why, "no space"), strings.Contains(why, "quota"), strings.Contains(why, "insufficient"):
		return NoRoom
	}
	return Passing
}

// exceptions are the codes whose HTTP status says something else than what it means for a message.
var exceptions = map[jetstream.ErrorCode]Class{
	10002: NoRoom, // resource limits exceeded for account
	10005: NoRoom, // no suitable peers for placement
	10023: NoRoom, // insufficient resources
	10026: NoRoom, // maximum consumers limit reached
	10027: NoRoom, // maximum number of streams reached
	10028: NoRoom, // insufficient memory resources available
	10047: NoRoom, // insufficient storage resources available
	10120: NoRoom, // no JetStream default or applicable tiered limit present
	10122: NoRoom, // stream max bytes exceeds account limit max stream bytes

	otherStream: Passing, // the operator can take the subject from it

	10014: Passing, // consumer not found: it is created again
	10059: Passing, // stream not found: it is created again, or the operator makes it
	10109: Passing, // invalid operation on sealed stream: the operator has to make another one
	10124: Passing, // stream move already in progress
	10202: Passing, // cluster member change is in progress
	10226: Passing, // stream reconfiguration already in progress

	10036: Permanent, // not currently supported in clustered mode
	10074: Permanent, // replicas > 1 not supported in non-clustered mode
	10111: Permanent, // rollup failed: the message asks for what the stream does not allow
}

// Help says in a few words what an operator can do about an error, or "".
func Help(err error) string {
	switch {
	case errors.Is(err, ErrOtherStream):
		return `find it with "bridge streams diff" and take the subject from it`
	case errors.Is(err, ErrNoAck):
		return "find out who subscribes to it, with the server's /subsz or connz?subs=1, and stop that"
	case errors.Is(err, ErrNotKept):
		return "delete it, so that it is created again with retention limits, or give it a durable consumer"
	}
	switch Of(err) {
	case NoRoom:
		return "make room: raise the limits of the stream or of the account, enlarge the store, or delete what is not needed"
	case Passing:
		if refused, ok := Refusal(err); ok && refused.ErrorCode == 10109 {
			return "the stream is sealed and takes nothing: delete it, so that it is created again"
		}
	case Permanent, Unknown:
	}
	return ""
}
