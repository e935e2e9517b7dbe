package advisory

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Conn is what advisories need of the connection to NATS.
type Conn interface {
	Session
	Broker
	Checks
}

// Session says how the connection is.
type Session interface {
	// AwaitUp waits until it is up. An error says that it never will be, or that ctx has ended.
	AwaitUp(ctx context.Context) error
	// StreamsReady is closed once the streams of a cloud were there.
	StreamsReady(cloud string) <-chan struct{}
	Settings() bus.Config
}

// Broker gives access to streams and consumers.
type Broker interface {
	NATS() *nats.Conn
	JetStream() jetstream.JetStream
	// Health says whether the leader of a stream may not be asked, on this connection.
	Health() *health.Health
}

// Streams makes streams with what room there is.
type Streams interface {
	CreateStream(ctx context.Context, want topology.Stream) error
}

// Checks remembers what was reported.
type Checks interface {
	// News says whether a text about something was not reported yet.
	News(name, text string) bool
}

// DeadLetters keeps commands that were given up.
type DeadLetters interface {
	// GiveUp stores a dead letter under a message id, or parks it.
	GiveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) error
}

// GaveUp reports to the sender of a command that the broker has given it up. mistake is why the message could not be read as a
// command, else nil.
type GaveUp func(ctx context.Context, cmd events.Command, mistake, reason error) error
