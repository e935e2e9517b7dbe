// Package policy says which commands the operator of a bridge lets through.
//
// In: the rules of the configuration, and the operation and source of a command. Out: the rule that refuses it, in words. It has
// no state and asks nobody.
//
// It never looks at the data of a command.
package policy
