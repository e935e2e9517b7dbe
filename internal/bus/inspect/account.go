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
	api := i.client.Settings().API("INFO")
	if !i.may(ctx, api) {
		return Account{}, false, fmt.Errorf("this user may not publish to %s", api)
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	info, err := i.client.JetStream().AccountInfo(ctx)
	switch {
	case errors.Is(err, nats.ErrNoResponders) && i.client.Settings().APIPrefix != "":
		// An account that has JetStream from another one may have imported less than this.
		return Account{}, false, fmt.Errorf("nobody answers on %s: it is not among the imports of this account", api)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return Account{}, true, topology.WithSetting(err, topology.Events)
	case err != nil:
		return Account{}, false, fmt.Errorf("JetStream account: %w", i.client.Why(err, api))
	}
	limits := info.Limits
	return Account{
		Domain: info.Domain, Streams: info.Streams, MaxStreams: limits.MaxStreams, Stored: info.Store, Reserved: info.ReservedStore,
		MaxStored: limits.MaxStore, MaxStream: limits.StoreMaxStreamBytes, Tiered: len(info.Tiers) > 0,
	}, false, nil
}
