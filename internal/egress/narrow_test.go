package egress

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// narrow is a desk whose messages have a limit.
type narrow struct {
	*desk
	limit int
}

func (n narrow) Publish(ctx context.Context, subject string, e event.Event, id string) error {
	if len(e.Data()) > n.limit {
		return fmt.Errorf("publish: %w", events.ErrTooLarge)
	}
	return n.desk.Publish(ctx, subject, e, id)
}

// narrowLedger is the same of a ledger.
type narrowLedger struct {
	*desk
	limit int
}

func (n narrowLedger) Save(ctx context.Context, cloud, id string, r ledger.Record) (ledger.Record, error) {
	if len(r.Result) > n.limit {
		return r, fmt.Errorf("ledger: %w", events.ErrTooLarge)
	}
	return n.desk.Save(ctx, cloud, id, r)
}
