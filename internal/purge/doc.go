// Package purge takes commands out of the queue that nobody has begun, each as a dead letter that can be sent again.
//
// In: which commands, and who wants that and why. Out: the dead letters, the results for their senders, and what was left alone.
//
// A command is claimed in the ledger first, as a bridge does before it calls factro. So one that a bridge works on is left alone,
// and one that is claimed is never carried out, even if this process ends in between: then the bridge that comes to it finds the
// claim and makes the same result and dead letter.
package purge
