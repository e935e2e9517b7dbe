package bus

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
)

// Config says which NATS server to use and how its streams are made.
type Config = dial.Config

// TLS are the files for a connection by TLS.
type TLS = dial.TLS

// JetStream gives access to streams and buckets. Calls fail while the connection is down; see AwaitUp.
func (b *Conn) JetStream() jetstream.JetStream { return b.js }

// NATS returns the underlying connection.
func (b *Conn) NATS() *nats.Conn { return b.nc }

// Settings returns the configuration of the connection.
func (b *Conn) Settings() Config { return b.cfg }

// Pulls records why the commands of a cloud cannot be pulled. Nil means that they can be, or that nobody wants to.
func (b *Conn) Pulls(cloud string, err error) { b.health.pulls(cloud, err) }

// Epoch counts the connections: what was found on one may not be there on the next, which may be to another server.
func (b *Conn) Epoch() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch
}

// Hidden says whether the server has refused to look a stream up, on this connection.
func (b *Conn) Hidden(stream string) bool { return b.health.isHidden(stream) }
