// Package queries answers requests: queries, and the questions why commands wait.
//
// In come requests on the subjects of queries, and a Reader or a StatusReporter that knows the answers. Out go answers in
// the form of NATS services, their statistics, and log lines about replies that may not be sent. It stores nothing, reads
// no stream, and never publishes to a subject that publish.Replies does not allow.
package queries
