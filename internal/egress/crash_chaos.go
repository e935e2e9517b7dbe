//go:build chaos

package egress

import (
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

var crashes atomic.Int64

// crashpoint kills the process, as nobody can prevent it, at the point that FACTRO_BRIDGE_CRASH names: the first time that
// it comes there, or the one that FACTRO_BRIDGE_CRASH_AT says.
func crashpoint(name string) {
	if os.Getenv("FACTRO_BRIDGE_CRASH") != name {
		return
	}
	n := crashes.Add(1)
	if at, err := strconv.ParseInt(os.Getenv("FACTRO_BRIDGE_CRASH_AT"), 10, 64); err == nil && n != at {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it has come
}
