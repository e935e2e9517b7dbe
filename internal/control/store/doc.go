// Package store keeps the pauses of operators in a key-value bucket that all bridges follow.
//
// In: what an operator pauses and resumes, and a connection to NATS. Out: the pauses that are there, on the board of this process,
// and each change of them.
//
// It never makes the bucket: without one nothing is paused. What was known when NATS went away counts until it is back.
package store
