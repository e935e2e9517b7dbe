package egress

import "time"

const (
	// maxAttempts is how often a command is tried that factro fails on. An outage does not use them up: after five failures the
	// breaker opens, and nothing is called until a probe succeeds. The same limit applies to reading the file of a command.
	maxAttempts = 8
	// maxResponse is the largest answer that goes into a result. The whole result must fit into one message.
	maxResponse = 512 << 10
	// maxKept is the largest answer that the ledger keeps for a repeated result. It is small because there are many records.
	maxKept = 16 << 10
	// doubtWindow is how much older than the call a similar object may be and still count as a possible match. It is not known
	// whether factro's creation times agree with its Date header, and a missing time zone shifts them by hours. If the bridge
	// took an object for older than it is, it would create it twice. The price: if somebody made a similar object by hand on
	// the same day, a human has to decide.
	doubtWindow = 24 * time.Hour
	// minSearches is how often the bridge searches for the object of a create before it makes the create again. searchPause is
	// the time between two searches. factro's lists may lag behind its writes, and then a late object would exist twice.
	minSearches = 2
	searchPause = 2 * time.Second
	// minSearchesAfterEmpty is the same if factro reported success but returned no id.
	minSearchesAfterEmpty = 5
	// maxListReads is how often a list is read that has an unexpected form: it may have been cut off.
	maxListReads = 3
	// deferredTimeout limits the publishing of a deferred result, because the command waits for it.
	deferredTimeout = 5 * time.Second
	// readTimeout limits one read for a command, because the commands behind it wait.
	readTimeout = 3 * time.Minute
	// finalWriteGrace is how long the last writes may take once the bridge has to stop.
	finalWriteGrace = time.Second
)
