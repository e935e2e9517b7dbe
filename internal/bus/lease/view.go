package lease

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// memberPrefix begins the keys of the entries by which bridges announce themselves. A lease's key never does.
const memberPrefix = "bridge."

// Member is what a bridge announces of itself.
type Member struct {
	// ID names this run of the bridge: a host and something random.
	ID      string    `json:"-"`
	Version string    `json:"version,omitempty"`
	Roles   []string  `json:"roles,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Keys are the leases that it has or waits for.
	Keys []string `json:"keys,omitempty"`
}

// seen is an entry of the bucket, and since when it has been as it is, by the clock of the one who sees it. That is later than
// when it was written.
type seen struct {
	holding
	revision uint64
	since    time.Time
}

// view is what a bridge knows of the bucket.
type view struct {
	last    uint64    // the sequence up to which it was read
	newest  time.Time // when the last entry was written, by the broker's clock
	leases  map[string]seen
	members map[string]announced
}

type announced struct {
	Member
	revision uint64
	since    time.Time
	written  time.Time // by the broker's clock
}

func newView() *view { return &view{leases: map[string]seen{}, members: map[string]announced{}} }

// put takes note of an entry. What is no entry of ours does not count.
func (v *view) put(key string, m *jetstream.RawStreamMsg, now time.Time) {
	v.newest = m.Time
	deleted := m.Header.Get("KV-Operation") != ""
	id, member := strings.CutPrefix(key, memberPrefix)
	switch {
	case member && deleted:
		delete(v.members, id)
	case deleted:
		delete(v.leases, key)
	case member:
		a := announced{revision: m.Sequence, since: now, written: m.Time}
		if json.Unmarshal(m.Data, &a.Member) == nil {
			a.ID = id
			v.members[id] = a
		}
	default:
		s := seen{revision: m.Sequence, since: now}
		if json.Unmarshal(m.Data, &s.holding) == nil {
			v.leases[key] = s
		}
	}
}

// wants are the keys of the bridges that have not been silent for too long. One that has just come cannot know for how long the
// others have been silent, so it also compares times of the broker with each other. That decides who should have a lease, and
// never who may take one.
func (v *view) wants(now time.Time, ttl time.Duration) map[string][]string {
	out := map[string][]string{}
	for id, a := range v.members {
		if now.Sub(a.since) <= ttl && v.newest.Sub(a.written) <= ttl {
			out[id] = a.Keys
		}
	}
	return out
}

// held are the holders of those leases that somebody has. A holder that does not say which bridge it is has its own name.
func (v *view) held(now time.Time, ttl time.Duration) map[string]string {
	out := map[string]string{}
	for key, s := range v.leases {
		switch {
		case s.Holder == "" || now.Sub(s.since) > ttl:
		case s.Bridge == "":
			out[key] = s.Holder
		default:
			out[key] = s.Bridge
		}
	}
	return out
}
