package dial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

var (
	// ErrAway says that there is no connection at the moment.
	ErrAway = errors.New("not connected to NATS")
	// ErrClosed says that there will be no connection again in this process.
	ErrClosed = errors.New("the connection to NATS was closed for good")
)

// AttemptTimeout is how long an attempt waits for an answer, such as the acknowledgement of a message. During a change of leader
// the one in flight is never answered; the next one is.
const AttemptTimeout = 2 * time.Second

const (
	// awayLogEvery is how often an outage is logged whose reason stays the same.
	awayLogEvery = 5 * time.Minute
	// nextServerAfter separates the attempts at the servers of one list. In this gap the client tells the result of the last one.
	nextServerAfter = 20 * time.Millisecond
	// embeddedServer names the server that is reached in process.
	embeddedServer = "the embedded server"
)

// Attempts knows why there is no connection: for each server the reason of its last attempt, and when the next one is. The
// client library reports failed dials to one handler, refused credentials to another, and failed TLS handshakes to none. So
// it dials for the library, and chooses the server of each attempt, which is when the result of the last one is known.
type Attempts struct {
	cfg    Config
	rhythm Rhythm
	log    *slog.Logger
	result func() error // of the last attempt that got past the dial, or nil

	mu      sync.Mutex
	servers map[string]*attempt // by host and port
	count   int                 // of dials
	last    string              // the server of the last dial
	chosen  string              // the address of the server that was chosen last
	refused bool                // whether that dial failed, so that no other error can be of it
	tried   int                 // servers since the last pause
	next    time.Time           // when the next attempt is
	logged  time.Time
	silent  int // failed attempts since then
}

// attempt is the outcome of the last attempt at a server.
type attempt struct {
	why    error
	logged string // the reason that was logged
}

// NewAttempts knows nothing yet. result is asked for the outcome of the last attempt that got past the dial, which is nil if it
// went well.
func NewAttempts(cfg Config, rhythm Rhythm, result func() error, log *slog.Logger) *Attempts {
	a := &Attempts{cfg: cfg, rhythm: rhythm, log: log, servers: map[string]*attempt{}, last: embeddedServer, result: result}
	if cfg.Server == nil { // what goes wrong before the first dial is about all of them
		a.last = secret.Address(cfg.URL)
	}
	return a
}

// Dial connects to a server for the client library. Its addresses are tried in random order, within one time-out.
func (a *Attempts) Dial(network, server string) (net.Conn, error) {
	a.mu.Lock()
	a.count++
	a.last, a.refused = server, false
	a.mu.Unlock()
	conn, err := dialServer(network, server, a.cfg.dialTimeout())
	if err != nil {
		a.mu.Lock()
		a.refused = true
		a.mu.Unlock()
		a.failed(server, err)
	}
	return conn, err
}

func dialServer(network, server string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout) // the library passes none
	defer cancel()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	dialer := net.Dialer{Timeout: timeout / time.Duration(max(len(addresses), 1))}
	var conn net.Conn
	for _, address := range addresses {
		if conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(address, port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// cutOff says whether the server ended the connection while somebody wrote to it. It has said why, in an alert of TLS for
// instance, but that is lost if our write fails before we read it.
func cutOff(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// Dials is how often it has dialed.
func (a *Attempts) Dials() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

// failed notes why an attempt failed.
func (a *Attempts) failed(server string, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.servers[server] == nil {
		a.servers[server] = &attempt{}
	} else if cutOff(why) {
		return // what it said before is the better reason
	}
	a.servers[server].why = explain(why, a.cfg)
}

// Reported notes an error that the library reports, unless Dial has seen it: of the first round of attempts, of a websocket's
// handshake, or of the embedded server.
func (a *Attempts) Reported(err error) {
	a.mu.Lock()
	server := a.last
	known, refused := a.servers[server] != nil, a.refused
	a.mu.Unlock()
	if refused || known && (errors.Is(err, nats.ErrNoServers) || isDial(err)) {
		return
	}
	a.failed(server, err)
}

// isDial says whether an error comes from dialServer.
func isDial(err error) bool {
	op, ofOp := errors.AsType[*net.OpError](err)
	_, ofName := errors.AsType[*net.DNSError](err)
	return ofName || ofOp && op.Op == "dial"
}

// Choose is the library's question for the next server, and how long to wait before it is tried. The library holds the lock
// of its connection here and lets go of it for the wait, so the outcome of the last attempt is asked for beside it.
func (a *Attempts) Choose(pool []nats.Server, _ nats.ServerInfo) (*nats.Server, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pool = different(pool)
	i := slices.IndexFunc(pool, func(s nats.Server) bool {
		return s.URL.String() == a.chosen || a.chosen == "" && s.URL.Host == a.last
	})
	i = (i + 1) % len(pool)
	a.chosen = pool[i].URL.String()
	wait := nextServerAfter
	if a.tried++; a.tried >= len(pool) {
		a.tried = 0
		wait = a.rhythm.ReconnectWait + rand.N(max(a.rhythm.Jitter, 1))
	}
	a.next = time.Now().Add(wait)
	go a.judge(a.count, a.last)
	return &pool[i], wait
}

// different leaves out the addresses that were given before. The library takes the first of those that are the same, so an
// address that an operator has given twice would be tried again and again.
func different(pool []nats.Server) []nats.Server {
	seen := map[string]bool{}
	return slices.DeleteFunc(pool, func(s nats.Server) bool {
		address := s.URL.String()
		defer func() { seen[address] = true }()
		return seen[address]
	})
}

// judge notes and logs the outcome of the last attempt, unless another one has begun meanwhile.
func (a *Attempts) judge(count int, server string) {
	why := a.result()
	a.mu.Lock()
	begun := a.count != count
	a.mu.Unlock()
	if why != nil && !begun {
		a.failed(server, why)
	}
	a.tell()
}

// tell logs the reasons: at once if one is new, and else rarely.
func (a *Attempts) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	again := now.Sub(a.logged) >= awayLogEvery
	if len(a.servers) == 0 { // the first attempt is yet to come
		return
	}
	a.silent++
	for _, server := range slices.Sorted(maps.Keys(a.servers)) {
		s := a.servers[server]
		if s.logged == s.why.Error() && !again {
			continue
		}
		a.log.Warn("NATS cannot be reached; trying again", "server", server, "error", s.why, "next_attempt", a.next.UTC().Format(time.RFC3339), "attempts_not_logged", a.silent-1)
		s.logged, a.logged, a.silent = s.why.Error(), now, 1
	}
}

// Connected forgets all reasons.
func (a *Attempts) Connected() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.servers, a.next, a.tried, a.logged, a.silent = map[string]*attempt{}, time.Time{}, 0, time.Time{}, 0
	a.chosen = ""
}

// reasons says of each server why it cannot be used; nil if nothing is known.
func (a *Attempts) reasons() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all error
	for _, server := range slices.Sorted(maps.Keys(a.servers)) {
		why := fmt.Errorf("%s: %w", server, a.servers[server].why)
		if all != nil {
			why = fmt.Errorf("%w; %w", all, why)
		}
		all = why
	}
	return all
}

// Err says that there is no connection, and as far as that is known why and when the next attempt is.
func (a *Attempts) Err() error {
	why := a.reasons()
	if why == nil {
		return ErrAway
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := fmt.Errorf("%w: %w", ErrAway, why)
	if !a.next.IsZero() {
		err = fmt.Errorf("%w; next attempt at %s", err, a.next.UTC().Format(time.RFC3339))
	}
	return err
}
