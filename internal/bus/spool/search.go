package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// searchAttempts bounds how often a search may fail. Then the message is published all the same: rather twice than never.
const searchAttempts = 3

// searches are what was found in the streams of a cloud, by subject.
type searches struct {
	mu        sync.Mutex
	bySubject map[string]*search
}

// search is what a stream has under a subject, as far as it was read.
type search struct {
	mu    sync.Mutex
	found map[string]bool // message ids, as they stand in the header, each with the digest of its body
	last  uint64          // the sequence of the last one
}

func (s *searches) of(subject string) *search {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bySubject == nil {
		s.bySubject = map[string]*search{}
	}
	if s.bySubject[subject] == nil {
		s.bySubject[subject] = &search{found: map[string]bool{}}
	}
	return s.bySubject[subject]
}

func (s *searches) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bySubject = nil
}

// search looks in the stream for a message that the broker may have, if it came there so long ago that the stream may
// have forgotten its id. What it finds is done.
func (s *Spool) search(ctx context.Context, q *cloudQueue, m *spooled) error {
	window := s.conn.Window(q.cloud)
	if !m.suspect || time.Since(m.at) <= window/2 {
		return nil
	}
	sought := q.drain.searched.of(m.msg.Subject)
	sought.mu.Lock()
	defer sought.mu.Unlock()
	stream := s.cfg.Prefix.EventStream(q.cloud)
	if !m.event {
		stream = s.cfg.Prefix.DeadStream(q.cloud)
	}
	// The broker's clock may differ from ours, and whoever tried did so before the spool had it.
	var err error
	sought.last, err = stored.Scan(ctx, s.conn, stream, m.msg.Subject, sought.last, m.at.Add(-window), sought.note)
	if errors.Is(err, stored.ErrMoving) {
		return fmt.Errorf("look for %s: %w", m.msg.Subject, err)
	}
	if err != nil {
		if m.lookups++; m.lookups < searchAttempts {
			return fmt.Errorf("look for %s: %w", m.msg.Subject, err)
		}
		s.log.WarnContext(ctx, "the stream cannot be searched for a webhook that may be there; it is published, perhaps again",
			"subject", m.msg.Subject, "error", err)
	}
	m.done = sought.has(m.id, m.msg.Data)
	return nil
}

// note keeps the id and the body of a message of the stream.
func (f *search) note(m *nats.Msg) {
	if id := delivery.Header(m.Header).Get(events.HeaderMessageID); id != "" {
		f.found[id+identity.BodyDigest(m.Data)] = true
	}
}

// has says whether a message is there, under its id or under one of its own.
func (f *search) has(id string, data []byte) bool {
	digest := identity.BodyDigest(data)
	return f.found[percent.Encode(id)+digest] || f.found[percent.Encode(identity.OwnID(id, data))+digest]
}
