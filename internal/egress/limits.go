package egress

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/egress/search"
)

const (
	// maxAttempts is how often a command is tried that factro fails on. An outage does not use them up: after five failures the
	// breaker opens, and nothing is called until a probe succeeds. The same limit applies to reading the file of a command.
	maxAttempts = search.MaxAttempts
	// maxResponse is the largest answer that goes into a result. The whole result must fit into one message.
	maxResponse = 512 << 10
	// maxKept is the largest answer that the ledger keeps for a repeated result. It is small because there are many records.
	maxKept = 16 << 10
	// minSearches is how often the bridge searches for the object of a create before it makes the create again. searchPause is
	// the time between two searches. factro's lists may lag behind its writes, and then a late object would exist twice.
	minSearches = 2
	searchPause = 2 * time.Second
	// minSearchesAfterEmpty is the same if factro reported success but returned no id.
	minSearchesAfterEmpty = 5
	// deferredTimeout limits the publishing of a deferred result, because the command waits for it.
	deferredTimeout = 5 * time.Second
)
