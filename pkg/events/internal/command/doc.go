// Package command makes the messages of commands, and reads them.
//
// In: what a sender asks for, or a message as it arrived. Out: a message that can be sent, or a CloudEvent that passed all
// checks but those of the operation's data, else an error for the sender that names all mistakes. It sends nothing, and knows
// no operation.
package command

// MaxCopied is the size in bytes of what a result copies from its command into headers: the broker takes 64 KiB of them.
const MaxCopied = 512
