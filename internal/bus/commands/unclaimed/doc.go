// Package unclaimed watches for commands that nobody reads.
//
// In: the streams of commands, as the broker describes them. Out: a metric, and log lines about clouds that are configured nowhere
// and whose commands wait. It never reads a command and never changes a stream.
package unclaimed
