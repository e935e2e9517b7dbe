// Package systemd reports the service's state to the service manager, as sd_notify(3) describes it for any program.
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

// States of a service.
const (
	Ready    = "READY=1"    // it has started, and "systemctl start" returns
	Stopping = "STOPPING=1" // it is stopping
	alive    = "WATCHDOG=1" // it is alive
)

// Notify reports a state to the service manager. Without a service manager that listens it does nothing.
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

// Watchdog reports regularly that the process works, until the context ends, if the unit has WatchdogSec=. While check
// fails it reports nothing, so that the service manager restarts the process.
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

// interval is half of the service manager's timeout, or 0 if it does not watch this process.
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
