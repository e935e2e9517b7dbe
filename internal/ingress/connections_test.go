package ingress_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// distant is a connection from a distinct address.
type distant struct {
	net.Conn
	from int
}

// RemoteAddr is different for each connection.
func (d distant) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(198, 51, byte(d.from>>8), byte(d.from)), Port: 1000}
}

// TestConnectionsInAll: strangers cannot open more connections than configured, whatever their addresses, and a sender that
// knows a secret keeps its own.
func TestConnectionsInAll(t *testing.T) {
	t.Parallel()
	serve(t, &memoryStore{}, func(h *memoryListener) {
		dial := func(from int) *client {
			near, far := net.Pipe()
			h.conns <- distant{far, from}
			h.t.Cleanup(func() { _ = near.Close() })
			return newClient(h.t, near)
		}
		good := post(oldSecret, length(len(good))) + good
		known := dial(0)
		go known.say(good)
		known.want(http.StatusAccepted)
		var open atomic.Int64
		for i := range 3 * config().MaxConnections {
			c := dial(i + 1)
			open.Add(1)
			go func() {
				_, _ = io.Copy(io.Discard, c) // ends with the connection
				open.Add(-1)
			}()
			go c.say(fmt.Sprintf("GET /webhooks/acme HTTP/1.1\r\nHost: %d\r\n\r\n", i))
			synctest.Wait()
		}
		if n := open.Load(); n != int64(config().MaxConnections-1) {
			h.t.Errorf("strangers have %d connections, want %d", n, config().MaxConnections-1)
		}
		go known.say(good)
		known.want(http.StatusAccepted)
	})
}
