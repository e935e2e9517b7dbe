// Package agreed keeps a value that the answers of factro agree on.
//
// In: the value in each answer. Out: the one that counts. It never asks factro anything.
package agreed
