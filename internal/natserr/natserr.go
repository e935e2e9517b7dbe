// Package natserr classifies the errors of NATS for a publish, for a write to a key-value or object store, and for a
// request about a stream or a consumer: is a retry of the same message useful? It is the one table for all parts of the
// bridge and for pkg/events, and imports none of them.
package natserr

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Class is what an error means for the message.
type Class int

const (
	// Unknown is an error that is not in the table. It is worth retrying, but not forever.
	Unknown Class = iota
	// Passing is a state of the connection, the broker or the stream. The same message can be accepted later.
	Passing
	// NoRoom is Passing, and only more room helps: the store, the stream or the account is full.
	NoRoom
	// Permanent is caused by the message itself. It is refused however often it is sent.
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

// Of returns the class of an error. The class of nil is Unknown.
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

// Refusal returns the error in the server's answer. An error of the client is not a refusal.
func Refusal(err error) (*jetstream.APIError, bool) {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return refused, ok && refused != nil
}

// NoStream reports whether the stream does not exist.
func NoStream(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }

// NobodyTakes reports whether a publish failed because no stream takes its subject.
func NobodyTakes(err error) bool { return errors.Is(err, jetstream.ErrNoStreamResponse) }

// NobodyAnswers reports whether a request failed because nobody hears its subject, as far as this account sees.
func NobodyAnswers(err error) bool { return errors.Is(err, nats.ErrNoResponders) }

// noMessage is the server's code for a sequence that a stream does not have.
const noMessage jetstream.ErrorCode = 10043

// NoMessage reports whether the message to read or delete does not exist.
func NoMessage(err error) bool {
	refused, ok := Refusal(err)
	return errors.Is(err, jetstream.ErrMsgNotFound) || ok && refused.ErrorCode == noMessage
}

// TooLarge reports whether a message is larger than the server, its limit on headers, or an operator's limit on the stream
// allows. A smaller form of it may be accepted.
func TooLarge(err error) bool {
	if refused, ok := Refusal(err); ok {
		return refused.ErrorCode == msgTooLarge || refused.ErrorCode == headerTooLarge
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, ErrHeader)
}

// Conflict reports whether a write failed because somebody else has changed the value in the meantime. This write is
// refused for good; a new one may succeed.
func Conflict(err error) bool {
	refused, ok := Refusal(err)
	return ok && (refused.ErrorCode == 10070 || refused.ErrorCode == 10071 || refused.ErrorCode == 10164)
}

// Disconnected reports whether something failed only because there was no connection: nothing was sent.
func Disconnected(err error) bool {
	return errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, nats.ErrDisconnected)
}

// Answered reports whether the broker itself refused a message or its stream, and not a lost connection, a timeout or an
// election. Only an answer can be a permanent refusal.
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

// MaxHeader is the maximum size of a message's headers in a stream, including the first line and the empty line at the end.
const MaxHeader = 64<<10 - 1

// ErrHeader means that the headers of a message are larger than any stream allows.
var ErrHeader = errors.New("header size exceeds the maximum")

// CheckHeader returns ErrHeader for headers that the server would refuse, without a round trip.
func CheckHeader(h nats.Header) error {
	if size := HeaderSize(h); size > MaxHeader {
		return fmt.Errorf("%w: %d bytes, a stream takes %d", ErrHeader, size, MaxHeader)
	}
	return nil
}

// HeaderSize is the size of a message's headers on the wire.
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

// local classifies the errors of the client library and of this package.
var local = []struct {
	err   error
	class Class
}{
	{ErrHeader, Permanent},
	{ErrOtherStream, Passing}, // an operator can remove the subject from it
	{ErrNoAck, Passing},       // likewise
	{ErrNotKept, Passing},     // likewise
	{nats.ErrMaxPayload, Permanent},
	{nats.ErrBadSubject, Permanent},
	{nats.ErrBadHeaderMsg, Permanent},
	{jetstream.ErrInvalidSubject, Permanent},
	{jetstream.ErrInvalidKey, Permanent},
	{nats.ErrHeadersNotSupported, Passing}, // another server may support them
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
	{jetstream.ErrBucketNotFound, Passing}, // it is created again, or an operator creates it
	{context.DeadlineExceeded, Passing},
	{context.Canceled, Passing},
}

// Codes of the server, as in its errors.json.
const (
	msgTooLarge    jetstream.ErrorCode = 10054
	headerTooLarge jetstream.ErrorCode = 10097
	storeFailed    jetstream.ErrorCode = 10077
	// lastCode is the highest code of the server when the table was made.
	lastCode jetstream.ErrorCode = 10228
)

// ofCode follows the general rule, after the exceptions: an HTTP status of 4xx means that the request is wrong, 5xx that
// the server cannot process it now. Codes of newer servers are unknown.
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

// ofStore classifies the one code that stands for all errors of a store.
func ofStore(why string) Class {
	switch why = strings.ToLower(why); {
	case strings.Contains(why, "message too large"):
		return Permanent
	case strings.Contains(why, "maximum "), strings.Contains(why, "no space"), strings.Contains(why, "quota"), strings.Contains(why, "insufficient"):
		return NoRoom
	}
	return Passing
}

// exceptions are the codes whose HTTP status does not fit their meaning for a message.
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

	otherStream: Passing, // an operator can remove the subject from it

	10014: Passing, // consumer not found: it is created again
	10059: Passing, // stream not found: it is created again, or an operator creates it
	10109: Passing, // invalid operation on sealed stream: an operator has to create another one
	10124: Passing, // stream move already in progress
	10202: Passing, // cluster member change is in progress
	10226: Passing, // stream reconfiguration already in progress

	10036: Permanent, // not currently supported in clustered mode
	10074: Permanent, // replicas > 1 not supported in non-clustered mode
	10111: Permanent, // rollup failed: the message asks for what the stream does not allow
}

// Help returns what an operator can do about an error, or "".
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

// WithHelp adds to an error what an operator can do about it.
func WithHelp(err error) error {
	if help := Help(err); help != "" {
		return fmt.Errorf("%w (%s)", err, help)
	}
	return err
}

// StoreFailed says whether a stream could not store a message, as when it is full and drops no older one.
func StoreFailed(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == storeFailed
}
