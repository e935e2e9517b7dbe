package spool

import (
	"context"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Conn is what the spool needs of the connection to NATS.
type Conn interface {
	Link
	Streams
}

// Link says how the connection is.
type Link interface {
	// Up says whether it is known to be up.
	Up() bool
	// AwaitUp waits until it is up. An error says that it never will be, or that ctx has ended.
	AwaitUp(ctx context.Context) error
	// Limits are the sizes that it takes, as far as it was ever up.
	Limits() topology.Limits
}

// Publisher stores messages in the streams that take their subjects, and counts them.
type Publisher interface {
	Sender
	Counters
}

// Sender returns from each method when the stream has acknowledged.
type Sender interface {
	// PublishEvent stores an event. It returns the other event if this one was stored under an id of its own.
	PublishEvent(ctx context.Context, subject string, e event.Event, id string) (*publish.OtherEvent, error)
	// SendEvent does the same for the message of an event that waited. tried says that the stream may have it already.
	SendEvent(ctx context.Context, msg *nats.Msg, id string, tried bool) (*publish.OtherEvent, error)
	// Send stores a message that is no event.
	Send(ctx context.Context, msg *nats.Msg, id string) error
}

// Streams says what streams hold.
type Streams interface {
	// Window is how long the stream of a cloud's events recognises a message id.
	Window(cloud string) time.Duration
	stored.Scanned
}

// Counters count for all publishes.
type Counters interface {
	// CountPublished counts a publish that ended.
	CountPublished(ctx context.Context, subject string, err error)
	// ReportOtherBody counts and logs that an event gets an id of its own.
	ReportOtherBody(ctx context.Context, subject string)
}

// DeadLetters keeps what cannot become an event in its stream.
type DeadLetters interface {
	// Quarantine stores bytes that could not be made into an event.
	Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte, request http.Header) error
	// GiveUp stores a dead letter, or parks it. A whole one is deadletter.ErrNotKept if only a part of it could be kept.
	GiveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) error
}
