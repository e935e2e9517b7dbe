// Package suggest finds the name that somebody probably meant.
//
// In: a word and the names that there are. Out: a question, or nothing. It knows nothing of commands.
package suggest
