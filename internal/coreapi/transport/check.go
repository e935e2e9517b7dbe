package transport

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// checked is a connection that asks right before the first byte of a call whether the call may still be made. Between the decision to
// call and that byte the connection may have to be made, and the process may stand still meanwhile: for longer than it may act.
type checked struct {
	net.Conn
	next atomic.Pointer[Call] // whose first byte comes next
}

func (c *checked) Write(p []byte) (int, error) {
	if call := c.next.Swap(nil); call != nil {
		if err := call.check(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// dialChecked makes connections that check.
func dialChecked(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err //nolint:wrapcheck // the client wraps it
	}
	return &checked{Conn: conn}, nil
}

// expect has the connection below a TLS connection check for a call. Of several calls on one connection of HTTP/2 it checks for the
// last one.
func expect(conn net.Conn, c *Call) {
	for {
		switch have := conn.(type) {
		case *checked:
			have.next.Store(c)
			return
		case interface{ NetConn() net.Conn }:
			conn = have.NetConn()
		default:
			return
		}
	}
}
