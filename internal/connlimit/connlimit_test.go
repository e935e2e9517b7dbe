package connlimit_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
)

// feed is a listener whose connections a test makes.
type feed struct{ conns chan net.Conn }

func (f *feed) Accept() (net.Conn, error) {
	c, ok := <-f.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (f *feed) Close() error { return nil }
func (*feed) Addr() net.Addr { return &net.TCPAddr{} }

// wire is one end of a connection, from an address.
type wire struct {
	net.Conn
	from string
}

type text string

func (t text) Network() string       { return "tcp" }
func (t text) String() string        { return string(t) }
func (w *wire) RemoteAddr() net.Addr { return text(w.from) }

// site is a limiter with its listener. What it drops is counted.
type site struct {
	t       *testing.T
	limiter *connlimit.Limiter
	server  *http.Server
	feed    *feed
	in      net.Listener

	mu      sync.Mutex
	dropped map[connlimit.Reason]int
}

func newSite(t *testing.T, cfg connlimit.Config) *site {
	t.Helper()
	s := &site{t: t, feed: &feed{make(chan net.Conn, 1)}, dropped: map[connlimit.Reason]int{}, server: &http.Server{}}
	cfg.Dropped = func(why connlimit.Reason) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dropped[why]++
	}
	s.limiter = connlimit.New(cfg)
	s.limiter.Apply(s.server)
	s.in = s.limiter.Listen(s.feed)
	return s
}

// visitor is a connection as both sides see it.
type visitor struct {
	s    *site
	conn net.Conn // the server's
	gone chan struct{}
}

// come is a new connection.
func (s *site) come(from string) *visitor {
	s.t.Helper()
	near, far := net.Pipe()
	v := &visitor{s: s, gone: make(chan struct{})}
	go func() {
		defer close(v.gone)
		_, _ = near.Read(make([]byte, 1)) // ends with the connection
	}()
	s.t.Cleanup(func() { _ = near.Close() })
	s.feed.conns <- &wire{far, from}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := s.in.Accept()
		accepted <- c
	}()
	select {
	case v.conn = <-accepted:
	case <-v.gone:
		s.t.Fatal("refused")
	}
	return v
}

func (v *visitor) state(states ...http.ConnState) {
	for _, s := range states {
		v.s.server.ConnState(v.conn, s)
	}
}

// asks is a request without a secret.
func (v *visitor) asks() {
	v.state(http.StateActive)
	connlimit.Of(v.s.server.ConnContext(v.s.t.Context(), v.conn)).Handled()
	v.state(http.StateIdle)
}

// shows is a request with an owner's secret.
func (v *visitor) shows(owner string) {
	v.state(http.StateActive)
	c := connlimit.Of(v.s.server.ConnContext(v.s.t.Context(), v.conn))
	c.Handled()
	c.Shown(owner)
	v.state(http.StateIdle)
}

func (v *visitor) isOpen() bool {
	synctest.Wait()
	select {
	case <-v.gone:
		return false
	default:
		return true
	}
}

func wantOpen(t *testing.T, what string, v *visitor, want bool) {
	t.Helper()
	if got := v.isOpen(); got != want {
		t.Errorf("%s: open is %t, want %t", what, got, want)
	}
}

func (s *site) want(dropped map[connlimit.Reason]int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !maps.Equal(s.dropped, dropped) {
		s.t.Errorf("dropped %v, want %v", s.dropped, dropped)
	}
}

func later(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // in a bubble

// TestLongestIdleStrangerGoes: over the limit the connection goes that is idle longest without a secret, not one that has
// shown one, however old it is.
func TestLongestIdleStrangerGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, connlimit.Config{Max: 4, PerAddress: 5})
		kept := s.come("192.0.2.1:1") // all of one address, as behind a proxy
		kept.shows("acme")
		first, second, third := s.come("192.0.2.1:2"), s.come("192.0.2.1:3"), s.come("192.0.2.1:4")
		later(time.Second)
		first.asks() // it has just asked something
		later(time.Second)
		s.come("192.0.2.1:5")
		wantOpen(t, "the one with a secret", kept, true)
		wantOpen(t, "the one that asked", first, true)
		wantOpen(t, "the next", second, false)
		wantOpen(t, "the last", third, true)
		s.want(map[connlimit.Reason]int{connlimit.Evicted: 1})
		if all, n := s.limiter.Open(); all != 4 || n != 1 {
			t.Errorf("%d open, %d kept", all, n)
		}
	})
}

// TestFloodClosesItsOwn: who comes with many connections from one address loses those, below the limit by address too.
func TestFloodClosesItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, connlimit.Config{Max: 10, PerAddress: 10})
		other := s.come("192.0.2.1:1")
		later(time.Second)
		for i := range 30 {
			s.come(fmt.Sprintf("192.0.2.2:%d", i))
		}
		wantOpen(t, "the other's", other, true)
		s.want(map[connlimit.Reason]int{connlimit.Evicted: 21})
	})
}

// TestAddress: the limit by address, which for IPv6 is a network of 64 bits.
func TestAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, connlimit.Config{Max: 100, PerAddress: 4})
		same := []*visitor{s.come("[2001:db8::1]:1"), s.come("[2001:db8::2]:1"), s.come("[2001:db8::3]:1"), s.come("[2001:db8::4]:1")}
		other := s.come("[2001:db8:0:1::1]:1")
		later(time.Second)
		same = append(same, s.come("[2001:db8::ffff]:9"))
		open := 0
		for _, v := range same {
			if v.isOpen() {
				open++
			}
		}
		wantOpen(t, "another network", other, true)
		if open != 4 {
			t.Errorf("%d are open", open)
		}
		s.want(map[connlimit.Reason]int{connlimit.EvictedAddress: 1})
	})
}

// TestOwnersShare: one owner that knows its secret cannot keep what the others need. The one idle longest is no longer kept;
// one with a request is.
func TestOwnersShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, connlimit.Config{Max: 16, Owners: 2, Patience: 5 * time.Second}) // six for each
		acme := make([]*visitor, 14)
		for i := range acme {
			acme[i] = s.come(fmt.Sprintf("192.0.2.%d:1", i))
			acme[i].shows("acme")
			later(time.Millisecond)
		}
		if _, kept := s.limiter.Open(); kept != 6 {
			t.Errorf("%d are kept for acme, want 6", kept)
		}
		acme[13].state(http.StateActive) // as it would be behind the body
		later(10 * time.Second)
		for i, v := range acme {
			wantOpen(t, fmt.Sprintf("connection %d of acme", i), v, i >= 8)
		}
		for i := range 20 {
			v := s.come(fmt.Sprintf("198.51.100.%d:1", i))
			v.shows("beta")
			wantOpen(t, "one of beta", v, true)
		}
	})
}

// TestPatience: whoever has shown no secret has seconds.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, connlimit.Config{Max: 10, Patience: 5 * time.Second})
		silent, idle, kept, busy := s.come("192.0.2.1:1"), s.come("192.0.2.2:1"), s.come("192.0.2.3:1"), s.come("192.0.2.4:1")
		kept.shows("acme")
		idle.asks()
		later(5*time.Second - time.Millisecond)
		busy.state(http.StateActive)
		wantOpen(t, "idle, just in time", idle, true)
		later(2 * time.Millisecond)
		wantOpen(t, "idle", idle, false)
		later(5 * time.Second)
		wantOpen(t, "silent", silent, false)
		wantOpen(t, "a request that does not end", busy, false)
		later(time.Hour)
		wantOpen(t, "kept", kept, true)
		s.want(map[connlimit.Reason]int{connlimit.Expired: 3})
	})
}

// TestNoRequest: net/http answers some requests by itself. That no handler saw them is counted.
func TestNoRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, connlimit.Config{Max: 10})
		v := s.come("192.0.2.1:1")
		v.shows("acme")
		v.state(http.StateActive)
		_ = v.conn.Close()
		v.state(http.StateClosed)
		s.want(map[connlimit.Reason]int{connlimit.NoRequest: 1})
		if all, _ := s.limiter.Open(); all != 0 {
			t.Errorf("%d are open", all)
		}
	})
}

// TestFlood: whoever asks again and again without a secret is closed gracefully, and cut if that does not help. Only some of
// its answers are under way at once. Whoever has shown a secret asks as often as it likes.
func TestFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, connlimit.Config{Max: 10})
		v, known := s.come("192.0.2.1:1"), s.come("192.0.2.2:1")
		known.shows("acme")
		of := func(v *visitor) *connlimit.Conn { return connlimit.Of(s.server.ConnContext(t.Context(), v.conn)) }
		for n := 1; n <= 32; n++ {
			h := http.Header{}
			done, ok := of(v).Answering(h)
			if !ok || (h.Get("Connection") == "close") != (n >= 16) {
				t.Errorf("answer %d: %t, %v", n, ok, h)
			}
			done()
		}
		wantOpen(t, "before the last", v, true)
		if _, ok := of(v).Answering(http.Header{}); ok {
			t.Error("it gets more answers")
		}
		wantOpen(t, "the one that floods", v, false)
		s.want(map[connlimit.Reason]int{connlimit.Flooded: 1})

		many := s.come("192.0.2.3:1")
		for n := range 6 {
			if _, ok := of(many).Answering(http.Header{}); ok != (n < 4) {
				t.Errorf("answer %d at once: %t", n, ok)
			}
		}
		for range 100 {
			if _, ok := of(known).Answering(http.Header{}); !ok {
				t.Error("refused, with a secret")
			}
		}
	})
}

func TestAddressOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[2001:db8:1:2:3::4]:80": "2001:db8:1:2::", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"[fe80::1%eth0]:80": "fe80::", "@": "@", "pipe": "pipe", "name:80": "name",
	} {
		if got := connlimit.AddressOf(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// TestReasons: every reason begins at 0 in the metrics.
func TestReasons(t *testing.T) {
	t.Parallel()
	if n := len(slices.Compact(slices.Sorted(slices.Values(connlimit.Reasons)))); n != 8 {
		t.Errorf("%d reasons", n)
	}
}
