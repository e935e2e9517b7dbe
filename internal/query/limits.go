package query

import "time"

const (
	// storeAgain is when it is worth asking again for an answer that could not be stored: the bucket is full, and what is in
	// it is kept for minutes, or NATS is away.
	storeAgain = 30 * time.Second
)
