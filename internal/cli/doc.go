// Package cli is the command line of the bridge: the commands, their flags, what they print, and their exit codes.
//
// In: the arguments of the process, its environment and its outputs. Out: an exit code. The packages below it are families of
// commands and what they share; the work itself is done by the rooms. It ends no process and hears no signals but SIGHUP.
package cli
