package bus

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// writeTimeout bounds how long the client waits until a server takes what is written to its connection. Meanwhile everybody
// who publishes has to wait, beyond any context. The client's own bound is a minute.
const writeTimeout = 10 * time.Second

// options are what keeps the bridge alive through any outage: it never stops to reconnect, not even after refused
// credentials, since those are rotated; it keeps no buffer, so that a publish during an outage fails at once instead of
// being sent after its caller has given up; and it hears of refused permissions, which otherwise are silent.
func (b *Conn) options() ([]nats.Option, error) {
	b.tries = dial.NewAttempts(b.cfg, b.rhythm, func() error {
		if nc := b.signing.Load(); nc != nil {
			return nc.LastError()
		}
		return nil
	}, b.log)
	opts := []nats.Option{
		nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(b.rhythm.ReconnectWait), nats.ReconnectJitter(b.rhythm.Jitter, b.rhythm.Jitter),
		nats.SetCustomDialer(b.tries), nats.ReconnectToServer(b.tries.Choose),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.tries.Reported(err) }),
		nats.ReconnectBufSize(-1), nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(b.rhythm.PingInterval), nats.MaxPingsOutstanding(2),
		nats.DrainTimeout(b.cfg.DrainTimeout), nats.PermissionErrOnSubscribe(true),
		nats.ConnectHandler(func(nc *nats.Conn) {
			b.tries.Connected()
			b.log.Info("connected to NATS", "server", secret.Address(nc.ConnectedUrl()))
			b.renew()
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.tries.Connected()
			b.log.Info("connected to NATS again", "server", secret.Address(nc.ConnectedUrl()))
			b.renew()
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.setDown()
			if err == nil { // we closed it
				return
			}
			if skipped, due := b.samples.Due("disconnected: "+dial.Inner(err).Error(), time.Now()); due {
				b.log.Warn("NATS disconnected", "error", err, "not_logged", skipped)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.asyncError(err) }),
		nats.LameDuckModeHandler(func(nc *nats.Conn) { // it closes the connection in its own time, and the client moves on
			b.log.Info("NATS server is about to shut down", "server", secret.Address(nc.ConnectedUrl()))
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	}
	common, err := b.cfg.Options(b.signing.Load)
	if err != nil {
		return nil, err
	}
	opts = append(common, opts...)
	if b.cfg.Server != nil {
		opts = append(opts, nats.InProcessServer(b.cfg.Server))
	}
	return opts, nil
}

// renew notes that there is a connection. It may be to another server, so nothing that was found is believed any more.
func (b *Conn) renew() {
	b.setUp(func() {
		b.State.Renewed()
		b.health.Renewed()
		b.Recheck()
	})
}

// asyncError hears what the server says outside of any request.
func (b *Conn) asyncError(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) && b.health.Refused(err) {
		return
	}
	if !b.Up() { // the reason of a failed attempt, which is logged there
		return
	}
	if skipped, due := b.samples.Due(err.Error(), time.Now()); due {
		b.log.Error("NATS reports an error", "error", err, "not_logged", skipped)
	}
}
