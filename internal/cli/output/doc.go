// Package output prints messages, results, lists and progress in the same way for all commands.
//
// In: values of the other packages. Out: text for people or JSON for programs, on the given writer. It decides nothing: the commands
// decide what to print, and the exit code.
package output
