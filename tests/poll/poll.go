// Package poll lets tests wait for what they want to see.
//
// In: a condition and how long it may take to become true. Out: the end of the wait, or a failed test. The limit is not a
// duration that a test takes: a test that reaches it has failed.
package poll

import (
	"testing"
	"time"
)

// between two checks of a condition.
const between = 5 * time.Millisecond

// Until waits until ok returns true. It fails the test after the limit.
func Until(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	if !Within(limit, ok) {
		t.Fatalf("waited %s in vain: %s", limit, what)
	}
}

// Within says whether ok returns true within the limit.
func Within(limit time.Duration, ok func() bool) bool {
	end := time.After(limit)
	tick := time.NewTicker(between)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
	return true
}
