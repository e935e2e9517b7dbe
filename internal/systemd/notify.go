// Package systemd tells the service manager how the service does, as sd_notify(3) describes it for any program.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// What a service tells about itself.
const (
	Ready    = "READY=1"    // it has started, and "systemctl start" returns
	Stopping = "STOPPING=1" // it has begun to end
	alive    = "WATCHDOG=1" // it still works
)

// Notify tells the service manager a state. Without one that listens it does nothing.
func Notify(state string) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	_, err = conn.Write([]byte(state))
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// Watchdog tells the service manager again and again that the process works, until the context ends, if the unit has
// WatchdogSec=. While check fails it tells nothing, so that the service manager starts a new process.
func Watchdog(ctx context.Context, check func() error) error {
	every := interval()
	if every == 0 {
		return nil
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if check() == nil {
			if err := Notify(alive); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// interval is half of what the service manager waits for, or 0 if it does not wait for this process.
func interval() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	microseconds, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || microseconds < 2 {
		return 0
	}
	return time.Duration(microseconds) * time.Microsecond / 2
}
