// Package cli is the command line of the bridge: the commands, their flags, what they print, and their exit codes.
//
// In: the arguments of the process, its environment and its outputs. Out: an exit code. The packages below it have groups of commands
// and their shared parts. The other internal packages do the work. It never exits the process, and handles no signal except SIGHUP.
package cli
