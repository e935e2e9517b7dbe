package bus

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// Times of mending an embedded server that stores nothing although the connection is up.
const (
	mendAfter    = 15 * time.Second // publishes that nobody answers are believed to be its fault after this time
	mendPause    = 5 * time.Second  // between the first two attempts; each further one waits twice as long
	mostPause    = time.Minute
	healthyAfter = time.Minute     // without a fault it counts as mended
	hopelessFrom = 2 * time.Minute // then /livez fails, so that the process is started anew
	leastSpace   = 16 << 20        // with less on its disk, a new start mends nothing
	leastFiles   = 32              // with fewer descriptors left, a new start may miss streams
)

// mender is what is known of the embedded server's fault.
type mender struct {
	mu       sync.Mutex
	since    time.Time // when the fault was seen first; zero if there is none
	why      error
	attempts int
	last     time.Time // the last attempt
}

// Alive is an error if the embedded server of this process stores nothing and could not be mended, so that only a new process
// may help. What another NATS server does is no reason: a new process does not mend it.
func (b *Bus) Alive() error {
	m := &b.mender
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := hopelessFrom
	if s := b.cfg.Server; s != nil && s.hopeless > 0 {
		limit = s.hopeless
	}
	if m.since.IsZero() || time.Since(m.since) < limit {
		return nil
	}
	return fmt.Errorf("the embedded NATS server has stored nothing since %s, and new starts have not helped, up to now %d: %w",
		m.since.UTC().Format(time.RFC3339), m.attempts, m.why)
}

// mendServer watches the embedded server until ctx ends, and starts it anew when it has given up storing.
func (b *Bus) mendServer(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	disk := newLooks(freeSpace)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if b.mender.due(b.serverFault(), time.Now()) && hasFiles() && b.hasSpace(ctx, disk) {
			b.restartServer(ctx)
		}
	}
}

// serverFault is why the embedded server stores nothing, as it says or as its silence does.
func (b *Bus) serverFault() error {
	if err := b.cfg.Server.fault(); err != nil {
		return err
	}
	b.mender.mu.Lock()
	last := b.mender.last
	b.mender.mu.Unlock()
	return b.health.unanswered(last)
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

// hasSpace says whether the server's disk has space. A full one is no fault of the process; readiness tells of it.
func (b *Bus) hasSpace(ctx context.Context, disk looks) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeoutDisk)
	defer cancel()
	free, err := disk.space(ctx, b.cfg.Server.opts.StoreDir)
	if err != nil || free >= leastSpace { // if nobody knows, it is tried
		return true
	}
	b.mender.mu.Lock()
	defer b.mender.mu.Unlock()
	b.mender.since = time.Now() // a full disk for long is not hopeless
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

func (b *Bus) restartServer(ctx context.Context) {
	m := &b.mender
	m.mu.Lock()
	m.attempts++
	why, attempt := m.why, m.attempts
	m.mu.Unlock()
	b.log.ErrorContext(ctx, "the embedded NATS server stores nothing; it is started anew", "error", why, "attempt", attempt)
	err := b.cfg.Server.restart()
	m.mu.Lock()
	m.last = time.Now()
	m.mu.Unlock()
	if err != nil {
		b.log.ErrorContext(ctx, "the embedded NATS server cannot be started anew; trying again", "error", err)
	}
}
