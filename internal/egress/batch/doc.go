// Package batch carries out several commands by one call.
//
// In: commands of one kind, each on its own way through the states, and factro's answer to a list. Out: which commands can go
// together and how many, the place where they wait for each other, one call for all of them, and for each command the part of the
// answer that is its own.
//
// It uses only operations that take effect as a whole or not at all. It never guesses: an answer that it cannot match to its command
// leaves the outcome of that command open. It knows no ledger, repeats no call, and publishes nothing.
package batch
