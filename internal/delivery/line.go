package delivery

import (
	"context"

	"github.com/nats-io/nats.go"
)

// LineOf returns the line of a connection that reconnects by itself.
func LineOf(nc *nats.Conn) Line { return line{nc} }

type line struct{ nc *nats.Conn }

// AwaitUp returns nats.ErrConnectionClosed for a connection that was closed, and nats.ErrConnectionReconnecting if ctx ends
// first.
func (l line) AwaitUp(ctx context.Context) error {
	if l.nc.IsConnected() {
		return nil
	}
	changed := l.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer l.nc.RemoveStatusListener(changed)
	for {
		switch { // after the listener is there, so that no change is missed
		case l.nc.IsConnected():
			return nil
		case l.nc.IsClosed():
			return nats.ErrConnectionClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nats.ErrConnectionReconnecting
		}
	}
}
