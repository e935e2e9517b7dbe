//go:build !race

package tests

const raceFlag = ""
