package chaos

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// link is how a proxy treats what goes through it. The zero value passes it on.
type link struct {
	cut       bool          // connections are reset, new ones too
	swallow   bool          // connections stay open, and nothing comes out of them
	bytesPerS int           // slow, in each direction of each connection
	delay     time.Duration // before each piece is passed on
}

// proxy stands between two processes.
type proxy struct {
	l net.Listener

	mu     sync.Mutex
	link   link
	target string
	conns  map[*net.TCPConn]bool
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{l: l, conns: map[*net.TCPConn]bool{}}
	go p.accept()
	t.Cleanup(func() {
		p.set(link{cut: true})
		_ = l.Close() // nothing is listened for any more
	})
	return p
}

func (p *proxy) address() string { return p.l.Addr().String() }

// aim sends new connections to another address.
func (p *proxy) aim(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// set changes the link. What it had swallowed does not come back, so connections that go on after it are reset, as the
// ones are that are cut.
func (p *proxy) set(l link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.cut || p.link.swallow {
		for c := range p.conns {
			reset(c)
		}
		clear(p.conns)
	}
	p.link = l
}

// reset closes without waiting for anybody: the other side gets a RST.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (p *proxy) accept() {
	for {
		conn, err := p.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go p.serve(conn.(*net.TCPConn)) // what a TCP listener gives
	}
}

func (p *proxy) serve(from *net.TCPConn) {
	p.mu.Lock()
	how, target := p.link, p.target
	p.mu.Unlock()
	if how.cut || target == "" {
		reset(from)
		return
	}
	if !p.hold(from) {
		return
	}
	defer p.drop(from)
	if how.swallow {
		p.pump(nil, from)
		return
	}
	conn, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return
	}
	to := conn.(*net.TCPConn) // what a dialled "tcp" is
	if !p.hold(to) {
		return
	}
	defer p.drop(to)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pump(from, to)
		p.drop(from)
		p.drop(to)
	}()
	p.pump(to, from)
	p.drop(from)
	p.drop(to)
	<-done
}

// hold keeps a connection for set, or resets it if the link was cut meanwhile.
func (p *proxy) hold(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link.cut {
		reset(c)
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) drop(c *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[c] {
		delete(p.conns, c)
		reset(c)
	}
}

// pump carries bytes until one side ends. Nothing is carried while the link swallows.
func (p *proxy) pump(to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		p.mu.Lock()
		how := p.link
		p.mu.Unlock()
		piece := buf
		if how.bytesPerS > 0 {
			piece = buf[:max(1, min(len(buf), how.bytesPerS/20))]
		}
		n, err := from.Read(piece)
		if n > 0 {
			p.mu.Lock()
			how = p.link
			p.mu.Unlock()
			wait := how.delay
			if how.bytesPerS > 0 {
				wait += time.Duration(n) * time.Second / time.Duration(how.bytesPerS)
			}
			if wait > 0 {
				<-time.After(wait)
			}
			if to != nil && !how.swallow {
				if _, err := to.Write(piece[:n]); err != nil {
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}
