// Package advisory reads what the broker reports when it gives up a command by itself. Without it, such a command would be gone,
// or would lie in the queue for good, without a word.
//
// The bridge's own consumers give the broker nothing to report but the bridge's own verdicts. But an operator can make a consumer
// with a limit of deliveries, and somebody else can take a command out of the queue and terminate it.
//
// In come the advisories of one cloud, which a stream keeps. Out go dead letters of the commands, and a report to their senders. It
// never carries a command out.
package advisory
