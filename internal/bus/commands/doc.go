// Package commands delivers the commands of a cloud to a worker, several at once, and settles them as the worker decides.
//
// In: messages of the durable consumer of commands, while this bridge has the lease of the cloud. Out: verdicts to the broker; dead
// letters and parked results, by way of bus/deadletter; and metrics of the queues. Which command is next is decided by the
// packages below it: lane has the order, index what is known of each command, hold the lanes that a dead letter stops.
//
// It never decides what a command means or whether it succeeded, and never settles a command before its result or dead letter is
// stored.
package commands
