//go:build race

package tests

// raceFlag builds the binary under test with the race detector if the tests themselves run with it.
const raceFlag = "-race"
