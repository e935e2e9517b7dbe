package spool

import (
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
