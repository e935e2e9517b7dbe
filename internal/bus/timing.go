package bus

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
)

// Option changes how a connection works.
type Option func(*Conn)

// Timing are intervals of a connection. Zero means the default.
type Timing struct {
	// Rhythm is how the connection is watched and made again.
	dial.Rhythm
	// AckWait is how long the broker waits for the verdict on a command before it delivers the command again.
	AckWait time.Duration
	// Heartbeat is how often the broker confirms that it still has a request to pull.
	Heartbeat time.Duration
	// CheckEvery is how often the streams are checked while all is well; CheckTimeout bounds one check of a cloud.
	CheckEvery, CheckTimeout time.Duration
	// RefusingAfter is how long a destination has to refuse everything until that is ErrRefusing.
	RefusingAfter time.Duration
}

// ackWait is how long the broker waits for word of a command before it delivers it again. A bridge that takes over does not wait for it.
const ackWait = 5 * time.Minute

// Timing are the intervals of this connection.
func (b *Conn) Timing() Timing {
	return Timing{
		Rhythm: b.rhythm, AckWait: b.ackWait, Heartbeat: b.heartbeat, CheckEvery: b.checkEvery, CheckTimeout: b.checkTimeout,
		RefusingAfter: b.refusingAfter,
	}
}

// CheckEvery is how often the streams are checked while all is well.
func (b *Conn) CheckEvery() time.Duration { return b.checkEvery }

// WithTiming shortens the intervals, so that a test need not wait for them.
func WithTiming(t Timing) Option {
	return func(b *Conn) {
		for have, want := range map[*time.Duration]time.Duration{
			&b.ackWait: t.AckWait, &b.heartbeat: t.Heartbeat, &b.checkEvery: t.CheckEvery, &b.checkTimeout: t.CheckTimeout,
			&b.refusingAfter: t.RefusingAfter, &b.rhythm.ReconnectWait: t.ReconnectWait, &b.rhythm.Jitter: t.Jitter,
			&b.rhythm.PingInterval: t.PingInterval,
		} {
			if want > 0 {
				*have = want
			}
		}
	}
}
