// Package slots decides how many commands of a cloud are carried out at once.
//
// In: the limit that is configured, how fast calls are allowed and answered, and when each command begins, asks for its call, has it,
// and ends. Out: when the next command may begin.
//
// It never chooses a command, and never makes a call.
package slots
