package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Config says where webhooks wait while the broker takes none.
type Config struct {
	// Prefix is the first token of all subjects.
	Prefix events.Prefix
	// Dir is the directory of the spool, of one process alone; "" means that there is none.
	Dir string
	// MaxBytes bounds what waits, in bytes.
	MaxBytes int64
	// DrainPerSecond bounds how many messages a second go to the broker once it is back.
	DrainPerSecond int
	// Pauses says for which clouds nothing is handed over although the broker would take it; nil if that never is.
	Pauses Pauses
}

// Pauses says which clouds' webhooks are to wait in the spool.
type Pauses interface {
	// Paused says whether those of a cloud are, AwaitFree waits until they are not.
	Paused(cloud string) bool
	AwaitFree(ctx context.Context, cloud string) error
}

// paused says whether the webhooks of a cloud are to wait.
func (s *Spool) paused(cloud string) bool { return s.cfg.Pauses != nil && s.cfg.Pauses.Paused(cloud) }

// awaitHandOver waits until the webhooks of a cloud may go to the broker, and it is there. An error says that they never will:
// ctx has ended, or the connection is closed for good and the process ends.
func (s *Spool) awaitHandOver(ctx context.Context, cloud string) error {
	for {
		if s.cfg.Pauses != nil {
			if err := s.cfg.Pauses.AwaitFree(ctx, cloud); err != nil {
				return err
			}
		}
		if err := s.conn.AwaitUp(ctx); err != nil || !s.paused(cloud) {
			return err
		}
	}
}

// minBytes is the least that a spool has to hold: a few webhooks of the usual limit.
const minBytes = 16 << 20

// Validate reports every mistake.
func (c Config) Validate() error {
	if c.Dir == "" {
		return nil
	}
	var errs []error
	if c.MaxBytes < minBytes {
		errs = append(errs, fmt.Errorf("spool.max_bytes: %s is less than 16MiB", plural.Of(c.MaxBytes, "byte")))
	}
	if c.DrainPerSecond < 1 {
		errs = append(errs, fmt.Errorf("spool.drain_per_second: %d is not positive", c.DrainPerSecond))
	}
	return errors.Join(errs...)
}
