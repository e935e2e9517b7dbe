package bodies

import (
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/identity"
)

// Memory remembers which body came first with a message id, for longer than the stream does: an id that names a webhook comes
// again and again for weeks. Its size is bounded; ids that did not come again for long are forgotten. Its zero value is ready.
type Memory struct {
	mu       sync.Mutex
	now, old map[string]string // message id -> digest of the body
}

// minBodies is how many ids are remembered at least.
const minBodies = 16 << 10

// First says whether this body was the first with its id.
func (m *Memory) First(id string, data []byte) bool {
	digest := identity.BodyDigest(data)
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.now[id]
	if !ok {
		if known, ok = m.old[id]; !ok {
			known = digest
		}
		if m.now == nil || len(m.now) >= minBodies {
			m.now, m.old = map[string]string{}, m.now
		}
		m.now[id] = known
	}
	return known == digest
}

// Correct takes the stream's word for which body has an id: another process may have stored it, or this one before a restart.
// Else a repetition of that body would be stored once more, under an id of its own. digest is "" if the stream does not know it.
func (m *Memory) Correct(id, digest string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.now, id)
	delete(m.old, id)
	if digest != "" && m.now != nil {
		m.now[id] = digest
	}
}
