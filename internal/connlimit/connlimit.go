// Package connlimit bounds the connections of an HTTP server, in all and by address.
//
// In: the connections of a listener, and for each the news that it has shown a right secret. Out: a connection for everybody
// who comes, as long as there is one to close in favor of them. It knows nothing of requests beyond where they begin and end.
package connlimit

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Config says how many connections there may be.
type Config struct {
	// Max bounds the connections in all, PerAddress those of one address; an IPv6 address counts by its /64.
	Max, PerAddress int
	// Patience is how long a connection is kept that has shown no secret: for its first request, for each further one, and
	// idle between two. 0 leaves the time to the server.
	Patience time.Duration
	// Owners is how many may show a secret. They share three quarters of the connections, and no owner keeps more than its
	// part: the last quarter is for those who have not shown one yet.
	Owners int
	// Dropped, if set, is called for each connection that is closed or refused, with the reason.
	Dropped func(Reason)
}

// Reason is why a connection was closed or refused.
type Reason string

// Reasons.
const (
	Evicted        Reason = "evicted"         // closed to make room for another
	EvictedAddress Reason = "evicted_address" // the same, since its address had too many
	Refused        Reason = "refused"         // there was none to close
	Expired        Reason = "expired"         // it has shown no secret in time
	Flooded        Reason = "flooded"         // it has sent request after request without a secret
	NoRequest      Reason = "no_request"      // what it began to send was malformed, too large or not complete in time
	HTTP2          Reason = "http2"           // a connection of HTTP/2 broke its rules; see the server's log
	Handshake      Reason = "tls"             // the handshake of TLS failed or was not complete in time; see the server's log
)

// Reasons are all there are.
var Reasons = []Reason{Evicted, EvictedAddress, Refused, Expired, Flooded, NoRequest, HTTP2, Handshake}

// Limiter counts the connections of one server.
type Limiter struct {
	cfg Config

	mu        sync.Mutex
	all       []*Conn
	addresses map[string]*address
}

// address is one address that has connections.
type address struct {
	name            string
	open, strangers int
}

// New returns a limiter. Max has to be at least 1.
func New(cfg Config) *Limiter {
	if cfg.PerAddress <= 0 {
		cfg.PerAddress = cfg.Max
	}
	cfg.Owners = max(1, cfg.Owners)
	return &Limiter{cfg: cfg, addresses: map[string]*address{}}
}

// Apply has a server tell the limiter of its connections. It has to listen on a listener of Listen.
func (l *Limiter) Apply(srv *http.Server) {
	srv.ConnState = func(c net.Conn, s http.ConnState) {
		if ours := unwrap(c); ours != nil {
			ours.state(s, s == http.StateIdle && speaksHTTP2(c))
		}
	}
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key{}, unwrap(c)) }
}

type key struct{}

// Of returns the connection of a request, nil if it came on a connection of another listener. All methods of a nil Conn do nothing.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(key{}).(*Conn)
	return c
}

func unwrap(c net.Conn) *Conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	ours, _ := c.(*Conn)
	return ours
}

func speaksHTTP2(c net.Conn) bool {
	t, ok := c.(*tls.Conn)
	return ok && t.ConnectionState().NegotiatedProtocol == "h2"
}

// Listen returns a listener that hands over the connections for which there is room.
func (l *Limiter) Listen(under net.Listener) net.Listener { return &listener{under, l} }

type listener struct {
	net.Listener
	l *Limiter
}

// Accept waits for the next connection that may stay.
func (l *listener) Accept() (net.Conn, error) {
	for {
		under, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // http.Server looks at what it is
		}
		if c := l.l.admit(under); c != nil {
			return c, nil
		}
	}
}

// Open is how many connections there are, and how many of them are kept for who has shown a secret.
func (l *Limiter) Open() (all, kept int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		if c.owner != "" {
			kept++
		}
	}
	return len(l.all), kept
}

// admit makes room for a connection, or closes it and returns nil.
func (l *Limiter) admit(under net.Conn) *Conn {
	name := AddressOf(under.RemoteAddr().String())
	l.mu.Lock()
	var victim *Conn
	var reason Reason
	a := l.addresses[name]
	switch {
	case a != nil && a.open >= l.cfg.PerAddress:
		victim, reason = l.stranger(a), EvictedAddress
	case len(l.all) >= l.cfg.Max:
		victim, reason = l.stranger(nil), Evicted
	}
	switch {
	case victim != nil:
		victim.cut = true
		l.remove(victim)
	case reason != "": // all are kept, or a limit is too small for that
		reason = Refused
	}
	var c *Conn
	if reason != Refused {
		c = l.add(under, name)
	}
	l.mu.Unlock()

	if victim != nil {
		_ = victim.Conn.Close() // it is gone either way
	}
	if c == nil {
		_ = under.Close() // as above
	}
	if reason != "" {
		l.dropped(reason)
	}
	return c
}

// stranger is the connection that is idle longest without a secret: of an address, or of the one that has most of them. So
// who opens connections in great numbers from few addresses only closes their own.
func (l *Limiter) stranger(a *address) (found *Conn) {
	for _, c := range l.all {
		switch {
		case c.owner != "", a != nil && c.address != a:
		case found == nil, c.address.strangers > found.address.strangers,
			c.address.strangers == found.address.strangers && c.since.Before(found.since):
			found = c
		}
	}
	return found
}

// add begins to count a connection. The caller has the lock.
func (l *Limiter) add(under net.Conn, name string) *Conn {
	a := l.addresses[name]
	if a == nil {
		a = &address{name: name}
		l.addresses[name] = a
	}
	a.open++
	a.strangers++
	c := &Conn{Conn: under, limiter: l, address: a, place: len(l.all), since: time.Now()}
	l.all = append(l.all, c)
	if l.cfg.Patience > 0 { // the handshake of TLS has a time of its own
		c.timer = time.AfterFunc(2*l.cfg.Patience, c.expire)
	}
	return c
}

// remove ends the count of a connection, and says whether it was counted. The caller has the lock.
func (l *Limiter) remove(c *Conn) bool {
	if c.place < 0 {
		return false
	}
	last := l.all[len(l.all)-1]
	l.all[c.place], last.place = last, c.place
	l.all[len(l.all)-1] = nil
	l.all = l.all[:len(l.all)-1]
	c.place = -1
	c.address.open--
	if c.owner == "" {
		c.address.strangers--
	}
	if c.address.open == 0 {
		delete(l.addresses, c.address.name)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	return true
}

// keep decides whether a connection that has shown an owner's secret is kept for it. Over the owner's part, or over three
// quarters of what its address may have, the one idle longest is no longer kept, if there is one. The caller has the lock.
func (l *Limiter) keep(c *Conn, owner string) {
	byOwner, byAddress := 0, 0
	var idleOwner, idleAddress *Conn
	for _, other := range l.all {
		if other.owner == owner {
			byOwner++
			idleOwner = longest(idleOwner, other)
		}
		if other.owner != "" && other.address == c.address {
			byAddress++
			idleAddress = longest(idleAddress, other)
		}
	}
	var instead *Conn
	switch {
	case byOwner >= l.cfg.Max*3/4/l.cfg.Owners:
		if instead = idleOwner; instead == nil {
			return
		}
	case byAddress >= l.cfg.PerAddress*3/4:
		if instead = idleAddress; instead == nil {
			return
		}
	}
	if instead != nil {
		instead.owner = ""
		instead.address.strangers++
		instead.await(l.cfg.Patience)
	}
	c.owner = owner
	c.address.strangers--
	c.await(0)
}

// longest is the connection without a request that has been so for longer.
func longest(a, b *Conn) *Conn {
	if b.active || a != nil && !b.since.Before(a.since) {
		return a
	}
	return b
}

func (l *Limiter) dropped(why Reason) {
	if l.cfg.Dropped != nil {
		l.cfg.Dropped(why)
	}
}

// AddressOf is an address without its port. An IPv6 sender owns a /64, so that is what is counted.
func AddressOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	ip, err := netip.ParseAddr(host)
	switch ip = ip.Unmap(); {
	case err != nil:
		return host
	case ip.Is4():
		return ip.String()
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return prefix.Addr().String()
}
