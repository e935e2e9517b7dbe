//go:build chaos

package crash

import (
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

var crashes atomic.Int64

// Point kills the process at the point that FACTRO_BRIDGE_CRASH names. It uses SIGKILL, so that no handler can run.
// FACTRO_BRIDGE_CRASH_AT selects the nth pass; the default is the first.
func Point(name string) {
	if os.Getenv("FACTRO_BRIDGE_CRASH") != name {
		return
	}
	n := crashes.Add(1)
	if at, err := strconv.ParseInt(os.Getenv("FACTRO_BRIDGE_CRASH_AT"), 10, 64); err == nil && n != at {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // wait for the signal
}
