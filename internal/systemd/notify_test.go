package systemd_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/systemd"
)

// listen is a service manager that hears what a service tells it.
func listen(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var text [256]byte
		n, err := conn.Read(text[:])
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
}

func TestNotify(t *testing.T) {
	next := listen(t)
	for _, state := range []string{systemd.Ready, systemd.Stopping} {
		if err := systemd.Notify(state); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != state {
			t.Errorf("the service manager heard %q, want %q", got, state)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := systemd.Notify(systemd.Ready); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a socket: %v", err)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := systemd.Notify(systemd.Ready); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
}

// TestWatchdog: while the check fails nothing is sent, and once it passes again it is.
func TestWatchdog(t *testing.T) {
	next := listen(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	var checks atomic.Int64
	done := make(chan error, 1)
	go func() {
		done <- systemd.Watchdog(ctx, func() error {
			if checks.Add(1) <= 3 {
				return errors.New("nothing is stored")
			}
			return nil
		})
	}()
	if got := next(); got != "WATCHDOG=1" || checks.Load() <= 3 {
		t.Errorf("the service manager heard %q at check %d", got, checks.Load())
	}
	next()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWatchdogOfAnother: a process that was started by the service does not answer for it.
func TestWatchdogOfAnother(t *testing.T) { //nolint:paralleltest // it sets the environment
	for name, env := range map[string][2]string{
		"another process": {"2000", strconv.Itoa(os.Getppid())}, "no watchdog": {"", ""}, "no number": {"soon", ""},
	} {
		t.Setenv("WATCHDOG_USEC", env[0])
		t.Setenv("WATCHDOG_PID", env[1])
		err := systemd.Watchdog(t.Context(), func() error {
			t.Errorf("%s: it checks", name)
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
