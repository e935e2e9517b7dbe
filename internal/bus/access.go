package bus

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
)

// Config says which NATS server to use and how its streams are made.
type Config = dial.Config

// AttemptTimeout is how long an attempt waits for an answer.
const AttemptTimeout = dial.AttemptTimeout

// TLS are the files for a connection by TLS.
type TLS = dial.TLS

// JetStream gives access to streams and buckets. Calls fail while the connection is down; see AwaitUp.
func (b *Conn) JetStream() jetstream.JetStream { return b.js }

// NATS returns the underlying connection.
func (b *Conn) NATS() *nats.Conn { return b.nc }

// Settings returns the configuration of the connection.
func (b *Conn) Settings() Config { return b.cfg }

// Health is what went wrong on the connection and has not worked since.
func (b *Conn) Health() *health.Health { return b.health }
