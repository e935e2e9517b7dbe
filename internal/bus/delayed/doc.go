// Package delayed keeps commands until their time has come, in a stream of NATS and not in memory.
//
// In: a command and the time before which it must not be carried out. Out: the same command on its own subject again, once that time has
// passed. In between the server holds it as a message schedule, which has a subject of its own for each command, and which can be looked
// up and fired early. A consumer hands what has fired over to the queue of commands.
//
// It never decides whether a command is carried out or cancelled; the ledger does. It never drops a command.
package delayed
