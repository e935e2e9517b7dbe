package connlimit

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Limits of a connection that has shown no secret. A load balancer's health check needs far less.
const (
	// mostAnswers limits concurrent answers. Only HTTP/2 has several, and a client that reads none of them would hold a
	// request's memory for each.
	mostAnswers = 4
	// lastAnswer closes the connection gracefully; after twice as many it is cut, including what it has sent since.
	lastAnswer = 16
)

// Conn is a connection that is counted.
type Conn struct {
	net.Conn
	limiter *Limiter
	address *address
	answers atomic.Int32 // to a stranger, being written
	all     atomic.Int32 // answers to a stranger
	scan    scanner

	// Guarded by the limiter's lock.
	place   int       // in the list of all; -1 once it is no longer counted
	owner   string    // the owner that it is kept for, or ""
	shown   bool      // whether it has ever shown a secret
	active  bool      // whether a request is being processed
	handled bool      // whether a handler was called since it became active
	greeted bool      // whether it was idle before
	cut     bool      // whether we have closed it
	since   time.Time // when it was opened, or its last request ended
	timer   *time.Timer
	until   time.Time // when its time is over, if the timer runs
}

// Close ends the connection.
func (c *Conn) Close() error {
	c.limiter.mu.Lock()
	c.limiter.remove(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // it is the connection's own error
}

// CloseWrite ends the sending side, so that a last answer arrives before the connection is closed.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // it is the connection's own error
	}
	return nil
}

// Read reads, and scans for what net/http does not report.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.scan.see(p[:n])
	return n, err //nolint:wrapcheck // net/http compares it
}

// HasLength reports whether the last request, or one after it, had a Content-Length line. net/http removes that header if
// there are chunks too. On a TLS connection this is not known.
func (c *Conn) HasLength() bool { return c != nil && c.scan.found.Load() }

// Handled records that a handler has the request.
func (c *Conn) Handled() {
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.handled = true
}

// Shown records that the connection has shown an owner's secret.
func (c *Conn) Shown(owner string) {
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.shown = true
	if c.place < 0 || c.owner != "" { // one that shows several secrets is kept for the first owner
		return
	}
	c.await(0)
	c.limiter.keep(c, owner)
}

// Answering reports whether an answer to a stranger may be written on the connection now. If so, call done after it. After
// a number of answers the header asks the server to close the connection.
func (c *Conn) Answering(h http.Header) (done func(), ok bool) {
	if c == nil || c.hasShown() {
		return func() {}, true
	}
	all := c.all.Add(1)
	if all > 2*lastAnswer {
		c.cutOff(Flooded)
		return nil, false
	}
	if all >= lastAnswer {
		h.Set("Connection", "close")
	}
	if c.answers.Add(1) > mostAnswers {
		c.answers.Add(-1)
		return nil, false
	}
	return func() { c.answers.Add(-1) }, true
}

func (c *Conn) hasShown() bool {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	return c.shown
}

// cutOff closes a connection that is still counted.
func (c *Conn) cutOff(why Reason) {
	c.limiter.mu.Lock()
	counted := c.limiter.remove(c)
	c.cut = c.cut || counted
	c.limiter.mu.Unlock()
	if counted {
		_ = c.Conn.Close() // it is closed either way
		c.limiter.dropped(why)
	}
}

// state follows the server's state of the connection. A request that no handler gets was refused by the server itself: over
// HTTP/2 the connection goes on, and this is the only trace of it.
func (c *Conn) state(s http.ConnState, http2 bool) {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	switch s {
	case http.StateActive:
		c.active, c.handled = true, false
		if c.owner == "" && !c.shown {
			c.await(c.limiter.cfg.Patience)
		}
	case http.StateIdle:
		greeting := http2 && !c.greeted // the server reports it as active and idle once more
		c.greeted = true
		if c.active && !c.handled && !c.cut && !greeting {
			c.limiter.dropped(NoRequest)
		}
		c.active, c.since = false, time.Now()
		c.scan.reset()
		if c.owner == "" {
			c.await(c.limiter.cfg.Patience)
		}
	case http.StateClosed:
		if c.active && !c.handled && !c.cut {
			c.limiter.dropped(NoRequest)
		}
	default:
	}
}

// await closes the connection after a time; 0 cancels that. The caller has the lock.
func (c *Conn) await(d time.Duration) {
	switch {
	case c.timer == nil, c.place < 0:
	case d == 0:
		c.timer.Stop()
	default:
		c.until = time.Now().Add(d)
		c.timer.Reset(d)
	}
}

// expire closes a connection whose time is over, unless it has shown a secret in the meantime.
func (c *Conn) expire() {
	c.limiter.mu.Lock()
	over := c.owner == "" && (!c.shown || !c.active) && !time.Now().Before(c.until)
	c.limiter.mu.Unlock()
	if over {
		c.cutOff(Expired)
	}
}
