package connlimit

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds of what a connection gets that has shown no secret. A balancer that looks whether somebody is here needs far less.
const (
	// mostAnswers may be under way at once. More than one are only with HTTP/2, where who reads none of them would hold a
	// request's memory with each.
	mostAnswers = 4
	// lastAnswer closes the connection politely; after twice as many it is cut, with what it has sent since.
	lastAnswer = 16
)

// Conn is a connection that is counted.
type Conn struct {
	net.Conn
	limiter *Limiter
	address *address
	answers atomic.Int32 // to a stranger, that are being written
	all     atomic.Int32 // answers to a stranger
	scan    scanner

	// Guarded by the limiter's lock.
	place   int       // in all; -1 once it is no longer counted
	owner   string    // who holds it; "" for nobody
	shown   bool      // whether it has ever shown a secret
	active  bool      // whether a request is under way
	handled bool      // whether a handler was called since it became active
	greeted bool      // whether it was idle before
	cut     bool      // whether we have closed it
	since   time.Time // when it came, or its last request ended
	timer   *time.Timer
	until   time.Time // when its time is over, if the timer runs
}

// Close ends the connection.
func (c *Conn) Close() error {
	c.limiter.mu.Lock()
	c.limiter.remove(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // it is that connection
}

// CloseWrite ends what we send, so that a last answer arrives before the connection is closed.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // it is that connection
	}
	return nil
}

// Read reads, and looks for what net/http does not tell.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.scan.see(p[:n])
	return n, err //nolint:wrapcheck // net/http looks at what it is
}

// HasLength says whether the request that came last, or one behind it, had a line Content-Length. net/http drops that header
// where there are chunks too. Of a connection by TLS nothing can be seen.
func (c *Conn) HasLength() bool { return c != nil && c.scan.found.Load() }

// Handled notes that a handler has the request.
func (c *Conn) Handled() {
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.handled = true
}

// Shown notes that the connection has shown an owner's secret.
func (c *Conn) Shown(owner string) {
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.shown = true
	if c.place < 0 || c.owner != "" { // one that shows several is kept for the first
		return
	}
	c.await(0)
	c.limiter.keep(c, owner)
}

// Answering says whether an answer to a stranger may be written on the connection now. If so, call done after it.
// Beyond some answers the header asks the server to close the connection.
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
		_ = c.Conn.Close() // it is gone either way
		c.limiter.dropped(why)
	}
}

// state follows the server's word of the connection. A request that no handler gets is one that the server itself refuses: over
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
		greeting := http2 && !c.greeted // the server takes it for active and for idle once more
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

// await has the connection closed after a time, or no longer if it is 0. The caller has the lock.
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

// expire closes a connection whose time is over, unless it has shown a secret meanwhile.
func (c *Conn) expire() {
	c.limiter.mu.Lock()
	over := c.owner == "" && (!c.shown || !c.active) && !time.Now().Before(c.until)
	c.limiter.mu.Unlock()
	if over {
		c.cutOff(Expired)
	}
}
