package query

import "time"

const (
	// shelfAgain is when it is worth asking again for an answer that could not be stored: the bucket is full, and what is in
	// it is kept for minutes, or NATS is away.
	shelfAgain = 30 * time.Second
)
