package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Stream and Subject are where the record of a command is, for those who only read it. commandID is the identity of the command.
func Stream(p events.Prefix, cloud string) string { return "KV_" + topology.LedgerBucket(p, cloud) }

// Subject is described with [Stream].
func Subject(p events.Prefix, cloud, commandID string) string {
	return "$KV." + topology.LedgerBucket(p, cloud) + "." + keyOf(cloud, commandID)
}

// Decode reads a record as it is stored. It is not there if it was deleted.
func Decode(data []byte) (r Record, there bool, err error) {
	if len(data) == 0 {
		return r, false, nil
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, false, fmt.Errorf("ledger: %w", err)
	}
	return r, true, nil
}
