// Package diff compares two states of an object.
//
// In: JSON objects as the Core API sent them. Out: the fields that differ, and the object that a difference leads to. It knows
// nothing of factro, and never changes what it was given.
package diff
