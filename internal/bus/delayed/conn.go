package delayed

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Conn is what delayed commands need of the connection to NATS.
type Conn interface {
	session
	broker
	// News says whether a text about something was not reported yet.
	News(name, text string) bool
}

type session interface {
	// AwaitUp waits until the connection is up. An error says that it never will be, or that ctx has ended.
	AwaitUp(ctx context.Context) error
	// StreamsReady is closed once the streams of a cloud were there.
	StreamsReady(cloud string) <-chan struct{}
	Settings() bus.Config
}

type broker interface {
	NATS() *nats.Conn
	JetStream() jetstream.JetStream
	// Health says whether the leader of a stream may not be asked, on this connection.
	Health() *health.Health
}

// Streams makes streams with what room there is.
type Streams interface {
	CreateStream(ctx context.Context, want topology.Stream) error
}

// Publisher stores messages in the streams that take their subjects.
type Publisher interface {
	Send(ctx context.Context, msg *nats.Msg, id string) error
}
