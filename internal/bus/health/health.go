package health

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
)

// Conn is what health needs to know of the connection.
type Conn interface {
	// Away is why the connection is not up, nil if it is.
	Away() error
	// Recheck has the streams checked soon.
	Recheck()
}

// Health is what went wrong on a connection and has not worked since. The state of the connection and the checks of the streams
// do not tell all: a publish can be refused, or never be answered, while both are well.
type Health struct {
	conn          Conn
	cfg           dial.Config
	log           *slog.Logger
	samples       *logsample.Sampler // of what is logged again and again
	streams       *State
	refusingAfter time.Duration

	mu       sync.Mutex
	refused  map[string]Refusal   // permissions, by what they are for
	failing  map[string]*failure  // publishes, by destination
	pulling  map[string]error     // why the commands of a cloud cannot be pulled
	hidden   map[string]bool      // streams that this connection may not look up
	directly map[string]bool      // streams whose leader this connection may not ask
	silent   map[string]time.Time // since when an object store does not answer, by name
	ill      atomic.Bool          // whether failing holds anything; it spares the publishes that work a lock
}

// RefusingAfter is how long a destination has to refuse everything until that is ErrRefusing. A change of leader, a stream
// that is created again and a move to other servers are over by then.
const RefusingAfter = time.Minute

// New returns the health of a connection. At first it knows only what the checks of the streams find.
func New(conn Conn, cfg dial.Config, streams *State, refusingAfter time.Duration, log *slog.Logger) *Health {
	return &Health{
		conn: conn, cfg: cfg, log: log, samples: logsample.New(time.Minute), streams: streams, refusingAfter: refusingAfter,
		refused: map[string]Refusal{}, failing: map[string]*failure{}, pulling: map[string]error{}, hidden: map[string]bool{}, directly: map[string]bool{},
		silent: map[string]time.Time{},
	}
}

// Renewed forgets what belonged to the last connection: the server says again what it refuses.
func (h *Health) Renewed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.failing {
		f.refused = time.Time{}
	}
	clear(h.refused)
	clear(h.hidden)
	clear(h.directly)
	clear(h.silent)
}

// Pulls records why the commands of a cloud cannot be pulled; nil says that they can, or that nobody wants to.
func (h *Health) Pulls(cloud string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.pulling, cloud)
	} else {
		h.pulling[cloud] = err
	}
}

// Hidden says whether the server has refused to look a stream up, on this connection.
func (h *Health) Hidden(stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hidden[stream]
}

// OnlyDirect says whether the leader of a stream may not be asked, on this connection. Then any server answers
// for it, as before this right was needed.
func (h *Health) OnlyDirect(stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.directly[stream]
}
