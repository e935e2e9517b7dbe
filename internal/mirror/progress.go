package mirror

import (
	"context"
	"encoding/json"
	"time"
)

// Progress is how far the mirror of a cloud is. It is the value of the lease.
type Progress struct {
	// Created is when the stream of events was made, Next the place of the first event that is not covered.
	Created time.Time `json:"created"`
	Next    uint64    `json:"next"`
	// Resources are those that are mirrored.
	Resources []string `json:"resources"`
	// Complete is when all objects were there for the first time, zero before. Verified is when they were last compared with factro.
	Complete time.Time `json:"complete,omitzero"`
	Verified time.Time `json:"verified,omitzero"`
	// FullLists are the resources whose lists show all fields of an object.
	FullLists []string `json:"fullLists,omitempty"`
	// Sweep is the reading of all lists that goes on, nil if none does. Last is the one that ended last.
	Sweep *Sweep `json:"sweep,omitempty"`
	Last  *Sweep `json:"last,omitempty"`
}

// Sweep is a reading of all lists.
type Sweep struct {
	// Kind is snapshot, verify or diff.
	Kind    string    `json:"kind"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// Resource is what is read now, Parent the last one whose list was read, in the order of ids. All before are done.
	Resource string `json:"resource,omitempty"`
	Parent   string `json:"parent,omitempty"`
	// Lists and Objects count what was read, ListsLeft what is left as far as it is known.
	Lists     int `json:"lists"`
	ListsLeft int `json:"listsLeft"`
	Objects   int `json:"objects"`
	// Differences counts the objects that differed, Examples are the first of them.
	Differences int      `json:"differences"`
	Examples    []string `json:"examples,omitempty"`
}

// mostExamples bounds the objects that are named.
const mostExamples = 50

func (p *Progress) decode(value []byte) error {
	if len(value) == 0 {
		return nil
	}
	if err := json.Unmarshal(value, p); err != nil {
		*p = Progress{}
		return err
	}
	return nil
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
