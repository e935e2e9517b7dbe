package query

import (
	"errors"
	"time"
)

const (
	// storeAgain is when it is worth asking again for an answer that could not be stored: the bucket is full, and what is in
	// it is kept for minutes, or NATS is away.
	storeAgain = 30 * time.Second
	// keyWait is how long a query waits for an external key that a command has reserved: an undisturbed create takes less. keyPause is
	// the time between two looks at the key, keyAgain when it is worth asking again.
	keyWait  = 10 * time.Second
	keyPause = 200 * time.Millisecond
	keyAgain = 5 * time.Second
	// forgetTimeout limits how long the answer of a query waits until an external key is freed.
	forgetTimeout = 2 * time.Second
)

var errPending = errors.New("a command has reserved it and has not ended")
