package natstest

import (
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/poll"
)

// Patience bounds a wait that should be short. A test that reaches it has failed.
const Patience = 30 * time.Second

// Eventually waits until something is true.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	poll.Until(t, Patience, what, ok)
}

// Within says whether something becomes true in time.
func Within(ok func() bool) bool { return poll.Within(Patience, ok) }

// Receive waits for the next value of a channel.
func Receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
