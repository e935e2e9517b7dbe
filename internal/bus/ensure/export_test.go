package ensure

import "context"

// IsProbed says whether another bridge has the probe.
func IsProbed(ctx context.Context, e *Ensurer) bool { return e.room.isProbed(ctx) }

// TakeProbe takes over a stale probe.
func TakeProbe(ctx context.Context, e *Ensurer, subject string, last uint64) bool {
	return e.room.takeProbe(ctx, subject, last)
}

// Reserve makes a probe.
func Reserve(ctx context.Context, e *Ensurer, wanted int64) (bytes int64, taken bool) {
	return e.room.reserve(ctx, wanted)
}

// ReleaseProbe deletes the probe of a bridge.
func ReleaseProbe(ctx context.Context, e *Ensurer) { e.room.releaseProbe(ctx) }
