// Package trace has the command trace, which shows what happened to an event, a command or an object of factro.
//
// In: an id and flags. Out: lines for people or JSON, and an exit code. It reads streams and changes nothing.
package trace
