// Package commands delivers the commands of a cloud to a worker, one at a time, and settles them as the worker decides.
//
// In come messages of the durable consumer of commands. Out go verdicts to the broker; dead letters and parked results, by
// way of bus/deadletter; metrics of the queues; and log lines about commands that nobody reads. It never decides what a
// command means or whether it succeeded, and never settles a command before its result or dead letter is stored.
package commands
