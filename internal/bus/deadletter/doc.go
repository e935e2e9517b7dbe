// Package deadletter keeps what cannot be delivered: commands that were given up, and webhooks that cannot become events.
//
// In come messages with the reason why they were given up. Out go dead letters, into the stream of their cloud. What does
// not fit there is shortened, and the original kept in an object store; what the broker refuses now is parked there and
// published later. For the command line, dead letters come out again: to be shown, sent again, or deleted.
//
// It never decides that something is given up, never sends anything again on its own, and never publishes a stored message
// to a subject that is not one of the contract.
package deadletter
