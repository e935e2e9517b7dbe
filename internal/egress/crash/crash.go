//go:build !chaos

// Package crash kills the process on purpose, in test builds.
//
// In: the name of a place in the code. Out: nothing, or the end of the process. It never does anything in another build.
package crash

// Point marks a place where a test build can crash on purpose. This build cannot.
func Point(string) {}
