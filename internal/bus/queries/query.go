package queries

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Conn is what this package needs of the connection.
type Conn interface {
	NATS() *nats.Conn
	JetStream() jetstream.JetStream
	Settings() bus.Config
}

// Query is a query as it arrived.
type Query struct {
	// Address is what the subject says: cloud, resource and operation.
	events.Address
	// Data is one JSON object; "{}" if the message had none. Mistake is why it could not be read, else nil.
	Data    []byte
	Mistake error
	// MaxAge is how old the answer may be, 0 if factro is to be asked.
	MaxAge time.Duration
}

// Answer is the answer to a query: Data, or the Object that holds it, or an Error.
type Answer struct {
	// Status is the Core API's HTTP status, or the equivalent status of an error of the bridge.
	Status int
	Data   []byte
	Object *events.ObjectRef
	Error  *events.Error
	// RetryAfter is when it is worth asking again; 0 if that is not known.
	RetryAfter time.Duration
	// Age is how old an answer of the mirror is. It is nil for an answer of factro.
	Age *time.Duration
}

// Reader answers queries, many at once.
type Reader interface {
	Query(ctx context.Context, q Query) Answer
}

// Service describes the queries of a cloud to the tools of NATS.
type Service struct {
	Cloud, Version string
	Endpoints      []Endpoint
}

// Endpoint is one query.
type Endpoint struct {
	Resource, Operation string
	Metadata            map[string]string
}

const (
	// Queue is the queue group by which several bridges share the queries. It is the default one of NATS services.
	Queue = micro.DefaultQueueGroup
	// HeaderRetryAfter is on a temporary error: the seconds until it is worth asking again.
	HeaderRetryAfter = "Retry-After"
	// maxQueries bounds how many queries of one cloud are in flight at once. The request budget allows eight a second.
	maxQueries = 64
)
