// Package pace measures, in real time, how a bridge spends factro's request budget on commands.
//
// The bridge and the NATS server are processes of their own on loopback. The simulated factro allows 500 requests in 60 seconds, as
// factro does, and notes when each command was called. A case waits for a backlog to be worked off and takes about as long as the
// budget allows for it, so most take ten minutes:
//
//	make pace                                        # all cases, side by side
//	go test ./tests/pace -count=1 -pace -run /250ms  # one of them
//
// Without -pace they are skipped.
package pace
