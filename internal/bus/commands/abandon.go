package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// isUndecided says whether a verdict is missing for a reason that does not pass by itself. It is not such a reason that the
// broker is silent, that a store refuses what all commands need, that another bridge has the command, or that this one ends.
func isUndecided(verdict error) bool {
	var (
		end   *terminal
		wait  *pending
		again *retry
	)
	switch {
	case verdict == nil, errors.As(verdict, &end), errors.As(verdict, &wait), errors.As(verdict, &again):
		return false
	case errors.Is(verdict, ledger.ErrTaken), errors.Is(verdict, bus.ErrNotConnected), errors.Is(verdict, bus.ErrClosed):
		return false
	}
	class := natserr.Of(verdict)
	return class == natserr.Unknown || class == natserr.Permanent
}

// abandoner is a Worker that reports to the sender of a command that it was given up without a verdict.
type abandoner interface {
	Undeliverable(ctx context.Context, cmd events.Command, mistake, reason error) error
}

// abandon gives up a command that was delivered again and again without a verdict.
func (q *cloudQueue) abandon(ctx context.Context, d delivered, mistake, why error) error {
	reason := fmt.Errorf("there was no verdict on it for %s, and factro may have done it: %w", q.undecidedAfter, why)
	q.log.ErrorContext(ctx, "a command cannot be decided and holds up the others; it is given up",
		"subject", d.msg.Subject, "position", d.position, "error", why)
	if a, ok := q.worker.(abandoner); ok {
		if err := a.Undeliverable(ctx, d.cmd, mistake, reason); err != nil && !deadletter.Unpublishable(err) {
			return why // once more
		}
	}
	return Terminal(deadletter.Letter{
		Subject: q.conn.Settings().Prefix.DeadCommand(q.cloud, d.cmd.Resource, d.cmd.Operation),
		Code:    events.CodeUndeliverable, Reason: reason,
	})
}
