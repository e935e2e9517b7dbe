// Package bucket reads and writes key-value buckets on whose entries decisions depend: whether a command was carried out, who
// reconciles.
//
// In: keys and values. Out: entries with their revisions, as the leader of the bucket has them. The client library reads from any
// server that holds the bucket, and one that has stopped answers with the past, or not at all. Here the leader is asked, with a
// short timeout. Each write names the revision that it replaces.
//
// It never makes a bucket. Who follows one asks for the next change again and again.
package bucket
