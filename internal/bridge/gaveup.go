package bridge

import (
	"context"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// gaveUp has the worker of a command's cloud tell its sender that the broker gave it up. Of a cloud that is not configured
// here nobody can; the dead letter is all that is left of it.
func gaveUp(ways map[string]way) bus.GaveUp {
	return func(ctx context.Context, cmd events.Command, mistake, reason error) error {
		if w := ways[cmd.Cloud].worker; w != nil {
			return w.Undeliverable(ctx, cmd, mistake, reason)
		}
		return nil
	}
}
