// Package index has what a bridge knows of the commands of a cloud that wait or are being carried out.
//
// In: deliveries of commands, and how the work on them ended. Out: the command to carry out next, what the broker is to hear of so
// that it delivers nothing twice, what does not fit and has to be read again, and estimates of how long a command waits. It holds
// small entries; the messages themselves only for a moment.
//
// It never asks the broker anything, and decides about no command. It is safe for concurrent use.
package index
