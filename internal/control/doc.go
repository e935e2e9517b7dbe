// Package control has what operators steer while bridges run: the directions of clouds that are paused.
//
// In: the pauses as they were read last. Out: whether a direction is paused, since when, who has done it and why, and the moment when that
// changes. The package store below it keeps them in NATS.
//
// It holds nothing back itself: what works in a direction asks.
package control
