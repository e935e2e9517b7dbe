//go:build unix

package bridge

import (
	"math"
	"syscall"
)

// openFiles is how many descriptors the process may have; 0 if nobody limits them. Go has raised the limit to the hard one.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 { //nolint:unconvert // it is signed on some systems
		return 0
	}
	return int(limit.Cur)
}
