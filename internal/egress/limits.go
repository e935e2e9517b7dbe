package egress

import "time"

const (
	// maxAttempts bounds how often a command that factro fails on is tried. An outage does not use them up: after five
	// failures the breaker opens, and then nothing is called until a probe has succeeded. As often it is tried to read the
	// file of a command.
	maxAttempts = 8
	// maxResponse bounds what of an answer goes into a result: with the rest it must fit into a message.
	maxResponse = 512 << 10
	// maxKept bounds what of an answer is kept in the ledger, for a repetition of the result: there are many records.
	maxKept = 16 << 10
	// inDoubt is how much older than the call an object like it may be and still leave a doubt. Whether factro's times of
	// creation agree with its Date header is not known, and a zone that is left out is hours: what is taken for older than
	// it is would be made again. The price is that a human is asked where somebody made the like of it by hand that day.
	inDoubt = 24 * time.Hour
	// minLooks is how often a create that may have happened is looked for before it is made again, and lookPause the time
	// between. Whether factro's lists lag behind its writes is not known, and an object that shows up late would be doubled.
	minLooks  = 2
	lookPause = 2 * time.Second
	// patientLooks is how often what was answered as made, but without an id, is looked for.
	patientLooks = 5
	// maxUnread is how often a list is read that holds something else than was expected: it may have broken off.
	maxUnread = 3
	// courtesy bounds how long a deferred result may take; it holds up the command that it is about.
	courtesy = 5 * time.Second
	// lookTimeout bounds one read for a command, which holds up the commands behind it.
	lookTimeout = 3 * time.Minute
	// overrun is how long what is known may take to be written down once the bridge has to stop.
	overrun = time.Second
)
