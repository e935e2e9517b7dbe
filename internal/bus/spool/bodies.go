package spool

import (
	"context"
	"sync"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/identity"
)

// bodies remembers which body came first with an id, for longer than the stream does: an id that names a webhook comes
// again and again for weeks. Memory is bounded; what was not asked for of late is forgotten.
type bodies struct {
	mu       sync.Mutex
	now, old map[string]string // message id -> digest of the body
}

// minBodies is how many ids are remembered at least.
const minBodies = 16 << 10

// first says whether this body was the first with its id.
func (b *bodies) first(id string, data []byte) bool {
	digest := identity.BodyDigest(data)
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.now[id]
	if !ok {
		if known, ok = b.old[id]; !ok {
			known = digest
		}
		if b.now == nil || len(b.now) >= minBodies {
			b.now, b.old = map[string]string{}, b.now
		}
		b.now[id] = known
	}
	return known == digest
}

// correct takes the stream's word for which body has an id: another process may have stored it, or this one before a
// restart. Else a repetition of that body would be stored once more, under an id of its own.
func (b *bodies) correct(id string, stored *publish.OtherEvent) {
	if stored == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.now, id)
	delete(b.old, id)
	if stored.BodyDigest != "" && b.now != nil {
		b.now[id] = stored.BodyDigest
	}
}

// named is the event with the id under which it is to be stored, and its message id.
func (s *Spool) named(ctx context.Context, subject string, e event.Event, id string) (event.Event, string) {
	if s.bodies.first(id, e.Data()) {
		return e, id
	}
	s.publisher.ReportOtherBody(ctx, subject)
	own := e.Clone()
	own.SetID(identity.OwnID(e.ID(), e.Data()))
	own.DataEncoded = e.DataEncoded
	return own, identity.OwnID(id, e.Data())
}
