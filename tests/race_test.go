//go:build race

package tests

// raceFlag builds the binary under test with the race detector if the tests themselves run with it.
const raceFlag = "-race"

// strangers is how many tasks the metrics have to bear. What it shows is no race, so here a few are enough.
const strangers = 2000

// slow is how many times as long a bridge takes.
const slow = 5
