// Package output prints what several commands print alike: messages, results, lists and progress.
//
// In: values of the rooms. Out: text for people or JSON for programs, on the writer that is handed in. It decides nothing: what is
// printed and which exit code follows is up to the commands.
package output
