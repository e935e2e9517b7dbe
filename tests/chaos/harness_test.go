package chaos

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

// The faults of a link are what they are called: else a row proves nothing.
func TestProxy(t *testing.T) {
	t.Parallel()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	p := newProxy(t)
	p.aim(echo.Addr().String())
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.address())
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	say := func(c net.Conn, patience time.Duration) error {
		if _, err := c.Write([]byte("Grüße")); err != nil {
			return err
		}
		must(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.ReadFull(c, make([]byte, len("Grüße")))
		return err
	}

	first := dial()
	if err := say(first, process.StartTimeout); err != nil {
		t.Errorf("an open link: %v", err)
	}
	p.set(link{swallow: true})
	for name, c := range map[string]net.Conn{"old": first, "new": dial()} {
		if err := say(c, 50*time.Millisecond); !isTimeout(err) {
			t.Errorf("a half-open link, %s connection: %v, want silence", name, err)
		}
	}
	p.set(link{})
	if err := say(first, process.StartTimeout); err == nil {
		t.Error("a connection goes on although the link had swallowed some of it")
	}
	second := dial()
	if err := say(second, process.StartTimeout); err != nil {
		t.Errorf("a healed link: %v", err)
	}
	p.set(link{cut: true})
	if err := say(second, process.StartTimeout); err == nil || isTimeout(err) {
		t.Errorf("a cut link, old connection: %v, want a reset", err)
	}
	if c, err := net.Dial("tcp", p.address()); err == nil { // else the reset came that early
		t.Cleanup(func() { _ = c.Close() })
		if err := say(c, process.StartTimeout); err == nil || isTimeout(err) {
			t.Errorf("a cut link, new connection: %v, want a reset", err)
		}
	}
	p.set(link{bytesPerS: 40})
	started := time.Now()
	if err := say(dial(), process.StartTimeout); err != nil {
		t.Errorf("a slow link: %v", err)
	}
	if took := time.Since(started); took < 100*time.Millisecond {
		t.Errorf("7 bytes at 40 a second came back after %s", took)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// A row that is not even is marked as such.
func TestTableNamesFailures(t *testing.T) {
	t.Parallel()
	var some rows
	some.add(row{fault: "second", order: 2, failed: true, commandRecovery: 1500 * time.Millisecond})
	some.add(row{fault: "first", order: 1, webhooks: 12, acked: 11})
	text := some.markdown()
	for _, want := range []string{"| first | 0 | 12 | 11 |", "| **FAILED** second |", "-, 1.5 s |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if strings.Index(text, "first") > strings.Index(text, "second") {
		t.Errorf("the table is out of order:\n%s", text)
	}
}
