package mirror

import (
	"context"
	"encoding/json"

	"github.com/factro-bridge/factro-bridge/internal/bus/state"
)

// Progress is what the mirror keeps in its lease.
type Progress = state.Progress

// Sweep is a reading of all lists, as it stands there.
type Sweep = state.Sweep

// mostExamples bounds the objects that are named.
const mostExamples = 50

// decode reads the value of a lease. One that cannot be read is as none.
func decode(value []byte) (p Progress, _ error) {
	if len(value) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(value, &p); err != nil {
		return Progress{}, err
	}
	return p, nil
}

// update changes the progress.
func (s *session) update(change func(p *Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.progress)
	s.unsaved = true
}

// look returns a copy of the progress.
func (s *session) look() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress
	if p.Sweep != nil {
		sweep := *p.Sweep
		p.Sweep = &sweep
	}
	return p
}

// save keeps the progress in the lease, if there is any.
func (s *session) save(ctx context.Context) {
	next := s.queue.Covered() + 1
	s.mu.Lock()
	if next != s.progress.Next {
		s.progress.Next, s.unsaved = next, true
	}
	text, err := json.Marshal(s.progress)
	unsaved := s.unsaved
	s.unsaved = false
	s.mu.Unlock()
	if err == nil && unsaved {
		attempt, cancel := context.WithTimeout(ctx, saveEvery)
		defer cancel()
		err = s.lease.Keep(attempt, text)
	}
	if err != nil {
		s.mu.Lock()
		s.unsaved = true // the next time
		s.mu.Unlock()
		s.log.DebugContext(ctx, "the progress of the mirror could not be kept", "cloud", s.cfg.Cloud, "error", err)
	}
}
