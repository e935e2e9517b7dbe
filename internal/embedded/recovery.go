package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Times for the recovery of an embedded server that stores nothing although the connection is up.
const (
	recoveryPause = 5 * time.Second // between the first two attempts; each further one waits twice as long
	mostPause     = time.Minute
	healthyAfter  = time.Minute     // without a fault it counts as recovered
	hopelessFrom  = 2 * time.Minute // after that /livez fails, so that the process is restarted
	leastSpace    = 16 << 20        // with less on its disk, a restart does not help
	leastFiles    = 32              // with fewer descriptors left, a restart may miss streams
	spaceTimeout  = time.Second     // for the file system to report its free space
)

// recovery is the state of the server's fault.
type recovery struct {
	mu       sync.Mutex
	since    time.Time // when the fault was first seen; zero if there is none
	why      error
	attempts int
	last     time.Time // the last attempt
}

// Alive returns an error if the server stores nothing and could not be recovered, so that only a new process may help.
func (s *Server) Alive() error {
	m := &s.recovery
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := hopelessFrom
	if s.hopeless > 0 {
		limit = s.hopeless
	}
	if m.since.IsZero() || time.Since(m.since) < limit {
		return nil
	}
	return fmt.Errorf("the embedded NATS server has stored nothing since %s, and %d restarts have not helped: %w",
		m.since.UTC().Format(time.RFC3339), m.attempts, m.why)
}

// Recover watches the server until ctx ends, and restarts it when it has stopped storing. The server may not notice that
// itself: unanswered returns an error if requests since the last restart got no answer.
func (s *Server) Recover(ctx context.Context, unanswered func(since time.Time) error, log *slog.Logger) {
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
			fault = unanswered(s.recovery.lastAttempt())
		}
		if s.recovery.due(fault, time.Now()) && hasFiles() && s.hasSpace(ctx, disk) {
			s.restartAndLog(ctx, log)
		}
	}
}

func (m *recovery) lastAttempt() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// due records the current fault, and reports whether to restart the server now.
func (m *recovery) due(fault error, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	pause := min(recoveryPause<<min(m.attempts, 10), mostPause)
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

// hasSpace reports whether the server's disk has space. A full disk is not a fault of the process; readiness reports it.
func (s *Server) hasSpace(ctx context.Context, disk Space) bool {
	ctx, cancel := context.WithTimeout(ctx, spaceTimeout)
	defer cancel()
	free, err := disk.Of(ctx, s.opts.StoreDir)
	if err != nil || free >= leastSpace { // if it is unknown, try
		return true
	}
	s.recovery.mu.Lock()
	defer s.recovery.mu.Unlock()
	s.recovery.since = time.Now() // a full disk does not become hopeless with time
	return false
}

// hasFiles reports whether there are descriptors left. A server that starts without them skips streams that it cannot read.
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

func (s *Server) restartAndLog(ctx context.Context, log *slog.Logger) {
	m := &s.recovery
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
