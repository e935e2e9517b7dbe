//go:build !race

package tests

const raceFlag = ""

const strangers = 100_000

const slow = 1
