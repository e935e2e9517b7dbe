package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Times of mending an embedded server that stores nothing although the connection is up.
const (
	mendPause    = 5 * time.Second // between the first two attempts; each further one waits twice as long
	mostPause    = time.Minute
	healthyAfter = time.Minute     // without a fault it counts as mended
	hopelessFrom = 2 * time.Minute // then /livez fails, so that the process is restarted
	leastSpace   = 16 << 20        // with less on its disk, a new start mends nothing
	leastFiles   = 32              // with fewer descriptors left, a new start may miss streams
	spaceTimeout = time.Second     // for the file system to report its free space
)

// mender is what is known of the server's fault.
type mender struct {
	mu       sync.Mutex
	since    time.Time // when the fault was seen first; zero if there is none
	why      error
	attempts int
	last     time.Time // the last attempt
}

// Alive is an error if the server stores nothing and could not be mended, so that only a new process may help.
func (s *Server) Alive() error {
	m := &s.mender
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := hopelessFrom
	if s.hopeless > 0 {
		limit = s.hopeless
	}
	if m.since.IsZero() || time.Since(m.since) < limit {
		return nil
	}
	return fmt.Errorf("the embedded NATS server has stored nothing since %s, and new starts have not helped, up to now %d: %w",
		m.since.UTC().Format(time.RFC3339), m.attempts, m.why)
}

// Mend watches the server until ctx ends, and restarts it when it has stopped storing. The server may not notice that
// itself: unanswered returns an error if requests since the last new start got no answer.
func (s *Server) Mend(ctx context.Context, unanswered func(since time.Time) error, log *slog.Logger) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	disk := NewSpace(FreeSpace)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		fault := s.fault()
		if fault == nil {
			fault = unanswered(s.mender.lastAttempt())
		}
		if s.mender.due(fault, time.Now()) && hasFiles() && s.hasSpace(ctx, disk) {
			s.startAnew(ctx, log)
		}
	}
}

func (m *mender) lastAttempt() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// due notes what is wrong now, and says whether to do something about it.
func (m *mender) due(fault error, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	pause := min(mendPause<<min(m.attempts, 10), mostPause)
	switch {
	case fault == nil:
		if !m.since.IsZero() && now.Sub(m.last) >= healthyAfter {
			m.since, m.attempts = time.Time{}, 0
		}
		return false
	case m.since.IsZero():
		m.since = now
	}
	m.why = fault
	return m.attempts == 0 || now.Sub(m.last) >= pause
}

// hasSpace says whether the server's disk has space. A full one is no fault of the process; readiness reports it.
func (s *Server) hasSpace(ctx context.Context, disk Space) bool {
	ctx, cancel := context.WithTimeout(ctx, spaceTimeout)
	defer cancel()
	free, err := disk.Of(ctx, s.opts.StoreDir)
	if err != nil || free >= leastSpace { // if nobody knows, it is tried
		return true
	}
	s.mender.mu.Lock()
	defer s.mender.mu.Unlock()
	s.mender.since = time.Now() // a full disk for long is not hopeless
	return false
}

// hasFiles says whether there are descriptors left. A server that starts without them takes streams that it cannot read for
// none.
func hasFiles() bool {
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for range leastFiles {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return false
		}
		files = append(files, f)
	}
	return true
}

func (s *Server) startAnew(ctx context.Context, log *slog.Logger) {
	m := &s.mender
	m.mu.Lock()
	m.attempts++
	why, attempt := m.why, m.attempts
	m.mu.Unlock()
	log.ErrorContext(ctx, "the embedded NATS server stores nothing; it is restarted", "error", why, "attempt", attempt)
	err := s.restart()
	m.mu.Lock()
	m.last = time.Now()
	m.mu.Unlock()
	if err != nil {
		log.ErrorContext(ctx, "the embedded NATS server cannot be restarted; trying again", "error", err)
	}
}
