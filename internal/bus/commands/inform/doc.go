// Package inform tells the senders of commands that wait.
//
// In: the index of a cloud's commands, their stream, and how long the calls of so many commands take. Out: which sender has to hear how
// long its command is likely to wait, once, and again when that has changed much.
//
// It never changes a command or its place. Of the commands that the index does not have it remembers only what the first one of many
// heard.
package inform
