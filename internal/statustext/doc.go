// Package statustext says in words what a command waits for, and what keeps a bridge from calling factro.
//
// In: a status as the bridge answers it. Out: one line for people. It asks nobody.
package statustext
