// Package connlimit limits the connections of an HTTP server, in total and by address.
//
// In: the connections of a listener, and for each of them the information that it has shown a correct secret. Out: a
// connection for every client, as long as another one can be closed for it. It knows nothing about requests except where
// they begin and end.
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

// Config sets the limits.
type Config struct {
	// Max limits all connections, PerAddress those of one address; an IPv6 address counts by its /64.
	Max, PerAddress int
	// Patience is how long a connection without a secret is kept: for its first request, for each further one, and idle
	// between two. 0 leaves the time to the server.
	Patience time.Duration
	// Owners is how many different owners may show a secret. They share three quarters of the connections, and none keeps
	// more than its part: the last quarter is for connections that have not shown a secret yet.
	Owners int
	// Dropped, if set, is called for each connection that is closed or refused, with the reason.
	Dropped func(Reason)
}

// Reason is why a connection was closed or refused.
type Reason string

// Reasons.
const (
	Evicted        Reason = "evicted"         // closed to make room for another
	EvictedAddress Reason = "evicted_address" // the same, because its address had too many
	Refused        Reason = "refused"         // no other could be closed
	Expired        Reason = "expired"         // it showed no secret in time
	Flooded        Reason = "flooded"         // it sent request after request without a secret
	NoRequest      Reason = "no_request"      // its first request was malformed, too large or not complete in time
	HTTP2          Reason = "http2"           // an HTTP/2 connection violated the protocol; see the server's log
	Handshake      Reason = "tls"             // the TLS handshake failed or was not complete in time; see the server's log
)

// Reasons lists all of them.
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

// Apply connects a server to the limiter. The server has to use a listener of Listen.
func (l *Limiter) Apply(srv *http.Server) {
	srv.ConnState = func(c net.Conn, s http.ConnState) {
		if ours := unwrap(c); ours != nil {
			ours.state(s, s == http.StateIdle && speaksHTTP2(c))
		}
	}
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key{}, unwrap(c)) }
}

type key struct{}

// Of returns the connection of a request, nil if it arrived on another listener. All methods of a nil Conn do nothing.
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

// Listen returns a listener that accepts the connections that there is room for.
func (l *Limiter) Listen(under net.Listener) net.Listener { return &listener{under, l} }

type listener struct {
	net.Listener
	l *Limiter
}

// Accept waits for the next connection that is accepted.
func (l *listener) Accept() (net.Conn, error) {
	for {
		under, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // http.Server compares it
		}
		if c := l.l.makeRoom(under); c != nil {
			return c, nil
		}
	}
}

// Open is how many connections there are, and how many of them are kept for owners.
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

// makeRoom makes room for a connection, or closes it and returns nil.
func (l *Limiter) makeRoom(under net.Conn) *Conn {
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
	case reason != "": // all are kept, or the limit is too small
		reason = Refused
	}
	var c *Conn
	if reason != Refused {
		c = l.add(under, name)
	}
	l.mu.Unlock()

	if victim != nil {
		_ = victim.Conn.Close() // it is closed either way
	}
	if c == nil {
		_ = under.Close() // as above
	}
	if reason != "" {
		l.dropped(reason)
	}
	return c
}

// stranger is the connection without a secret that has been idle longest: of one address, or of the address that has most
// of them. So a client that opens very many connections from few addresses only closes its own.
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

// add starts counting a connection. The caller has the lock.
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
	if l.cfg.Patience > 0 { // the TLS handshake has its own timeout
		c.timer = time.AfterFunc(2*l.cfg.Patience, c.expire)
	}
	return c
}

// remove stops counting a connection, and reports whether it was counted. The caller has the lock.
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

// keep decides whether a connection that has shown an owner's secret is kept for that owner. Beyond the owner's part, or
// three quarters of its address's limit, the connection that has been idle longest is no longer kept, if there is one. The
// caller has the lock.
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

// longest is the one of two connections that has been without a request for longer.
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

// AddressOf is an address without its port. An IPv6 sender controls a /64, so the /64 is counted.
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
