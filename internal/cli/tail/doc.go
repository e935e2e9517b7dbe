// Package tail has the command that prints what arrives in the streams.
//
// In: flags that say which messages. Out: a few lines for each message, or JSON, with the title of the object where the mirror has it.
// It reads streams and the mirror's copy. It never changes anything.
package tail
