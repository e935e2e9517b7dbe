package main

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

// pace calls do at the intended times: count times, rate per second. do must not block.
//
// It sleeps in the kernel on a thread of its own. Go's timers may be a millisecond late on an idle machine, which is more
// than what is measured.
func pace(ctx context.Context, rate, count int, do func(i int, intended time.Time)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	for i := range count {
		intended := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if wait := time.Until(intended); wait > 0 {
			t := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&t, nil) // interrupted by a signal, it is a little early
		}
		if ctx.Err() != nil {
			return
		}
		do(i, intended)
	}
}
