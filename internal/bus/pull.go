package bus

import (
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// Puller pulls from a consumer one message at a time.
func (b *Conn) Puller(c jetstream.Consumer) delivery.Puller {
	info := c.CachedInfo()
	return delivery.Puller{
		Conn: b.nc, Line: b, API: b.cfg.APIRoot(), Stream: info.Stream, Consumer: info.Name, Heartbeat: b.heartbeat,
	}
}
