package egress

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// limitedStores are fake stores with a size limit for messages.
type limitedStores struct {
	*fakeStores
	limit int
}

func (n limitedStores) Publish(ctx context.Context, subject string, e event.Event, id string) error {
	if len(e.Data()) > n.limit {
		return fmt.Errorf("publish: %w", events.ErrTooLarge)
	}
	return n.fakeStores.Publish(ctx, subject, e, id)
}

// limitedLedger is the same for the ledger.
type limitedLedger struct {
	*fakeStores
	limit int
}

func (n limitedLedger) Save(ctx context.Context, cloud, id string, r ledger.Record) (ledger.Record, error) {
	if len(r.Result) > n.limit {
		return r, fmt.Errorf("ledger: %w", events.ErrTooLarge)
	}
	return n.fakeStores.Save(ctx, cloud, id, r)
}
