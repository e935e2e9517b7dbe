package inspect

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// account reads what the account may store. none says that there is no JetStream where it is looked for.
func (i *Inspector) account(ctx context.Context) (_ Account, none bool, _ error) {
	if err := i.refusal(ctx, "INFO"); err != nil {
		return Account{}, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	info, err := i.client.JetStream().AccountInfo(ctx)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return Account{}, true, topology.WithSetting(err, topology.Events)
	case err != nil:
		return Account{}, false, fmt.Errorf("JetStream account: %w", i.client.Why(err, i.client.Settings().API("INFO")))
	}
	limits := info.Limits
	return Account{
		Domain: info.Domain, Streams: info.Streams, MaxStreams: limits.MaxStreams, Stored: info.Store, Reserved: info.ReservedStore,
		MaxStored: limits.MaxStore, MaxStream: limits.StoreMaxStreamBytes, Tiered: len(info.Tiers) > 0,
	}, false, nil
}
