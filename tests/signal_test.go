package tests

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// The first signal lets a slow sender finish; the second one ends the process at once.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	conn, err := net.Dial("tcp", b.httpAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "POST /webhooks/acme HTTP/1.1\r\nHost: bridge\r\nX-Bridge-Key: %s-acme\r\nContent-Length: 100\r\n\r\n{", webhookSecret); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the request is in flight", func() bool { return b.metric("factro_bridge_webhooks_memory_bytes") != "0" })

	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the bridge says that it stops", func() bool {
		status, body := b.get("/readyz")
		return status == 503 && strings.Contains(body, "stopping")
	})
	if b.isOver() {
		t.Fatal("the bridge did not wait for the request in flight")
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-b.exited
	if exit, ok := errors.AsType[*exec.ExitError](b.exit); !ok || exit.ExitCode() != 130 {
		t.Errorf("the bridge ended with %v, want the exit code 130", b.exit)
	}
}

// SIGHUP, by which other servers read their configuration again, is logged and ends nothing.
func TestHangupIsLogged(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	for range 2 {
		before := strings.Count(b.log.String(), "SIGHUP changes nothing")
		if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the signal is logged", func() bool { return strings.Count(b.log.String(), "SIGHUP changes nothing") > before })
	}
	if !b.ready() {
		t.Error("the bridge is not ready after SIGHUP")
	}
	if err := b.terminate(); err != nil {
		t.Errorf("after SIGHUP it does not end politely: %v", err)
	}
}
