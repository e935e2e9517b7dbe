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
func (d *drain) search(ctx context.Context, m *spooled) error {
	window := d.spool.conn.Window(d.queue.cloud)
	if !m.Suspect || time.Since(m.Stored) <= window/2 {
		return nil
	}
	sought := d.searched.of(m.Msg.Subject)
	sought.mu.Lock()
	defer sought.mu.Unlock()
	stream := d.spool.cfg.Prefix.EventStream(d.queue.cloud)
	if !m.Event {
		stream = d.spool.cfg.Prefix.DeadStream(d.queue.cloud)
	}
	// The broker's clock may differ from ours, and the attempt to send it came before the spool had it.
	var err error
	sought.last, err = stored.Scan(ctx, d.spool.conn, stream, m.Msg.Subject, sought.last, m.Stored.Add(-window), sought.note)
	if errors.Is(err, stored.ErrMoving) {
		return fmt.Errorf("look for %s: %w", m.Msg.Subject, err)
	}
	if err != nil {
		if m.lookups++; m.lookups < searchAttempts {
			return fmt.Errorf("look for %s: %w", m.Msg.Subject, err)
		}
		d.spool.log.WarnContext(ctx, "the stream cannot be searched for a webhook that may be there; it is published, perhaps again",
			"subject", m.Msg.Subject, "error", err)
	}
	m.done = sought.has(m.ID, m.Msg.Data)
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
