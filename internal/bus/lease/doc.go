// Package lease gives one process at a time the right to do something alone.
//
// In: a key. Out: its lease, with a value that only the holder can write, and that the next holder gets. The lease is renewed until
// it is released, and taken over when its holder has been silent for too long. A Fleet spreads leases evenly over the bridges that
// want them, and Look shows who has which.
//
// It never compares the clocks of two machines, and never lets the write of a holder that has lost the lease overwrite that of the next one.
package lease
