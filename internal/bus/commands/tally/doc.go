// Package tally counts what happens to the commands of each cloud, and has the metrics of their queues.
//
// In: deliveries, how the work on them ended, and the consumers that deliver them. Out: the metrics, how many
// deliveries are missing, and for how long a command has had no verdict. It decides about no command.
package tally
