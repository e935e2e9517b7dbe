package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Claim says that an object at factro was made by a command, and returns whether it is this command's: an object has
// exactly one maker. To claim twice what is one's own is right.
func (l *Ledger) Claim(ctx context.Context, cloud, resource, objectID, commandID string) (mine bool, _ error) {
	kv, err := l.bucket(ctx, cloud)
	if err != nil {
		return false, err
	}
	key := cloud + ".claim." + events.Token(resource) + "." + keyToken(objectID)
	if err := l.adopt(ctx, cloud, kv, key); err != nil {
		return false, err
	}
	_, err = l.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.Create(ctx, key, []byte(commandID)) })
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return false, fmt.Errorf("ledger: claim: %w", err)
	}
	entry, err := kv.Get(ctx, key)
	if err != nil {
		return false, fmt.Errorf("ledger: claim: %w", err)
	}
	return string(entry.Value) == commandID, nil
}
