package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// hopRoom is how much a message grows when it is published: its message id comes on top.
const hopRoom = 1 << 10

// errUnknownLimit says that nobody knows whether the broker will take a message.
var errUnknownLimit = errors.New("the largest message that NATS takes is not known yet, since it was never reached")

// Limits are the sizes that the broker takes, as they were seen last, also by an earlier process.
func (s *Spool) Limits() topology.Limits { return s.limits.Now(s.conn.Limits()) }

// saveLimits writes down what the broker takes, for a start without it.
func (s *Spool) saveLimits(ctx context.Context) {
	if err := s.limits.Save(s.cfg.Dir, s.conn.Limits()); err != nil {
		if skipped, due := s.samples.Due("limits", time.Now()); due {
			s.log.WarnContext(ctx, "the limits of NATS cannot be written down for a start without it", "error", err, "not_logged", skipped)
		}
	}
}

// fits says whether the broker will take a message that waits in the spool. What it would refuse must not be promised.
func (s *Spool) fits(cloud string, msg *nats.Msg, id string) error {
	size := int64(natserr.HeaderSize(msg.Header)+len(msg.Data)+len(percent.Encode(id))) + hopRoom
	switch most := s.Limits().Of(cloud); {
	case most == 0 && size > topology.DefaultPayload:
		return fmt.Errorf("a message of %d bytes: %w", size, errUnknownLimit)
	case most > 0 && size > most:
		return fmt.Errorf("%w: a message of %d bytes with its headers, NATS took up to %d when it was there", events.ErrTooLarge, size, most)
	}
	return nil
}
