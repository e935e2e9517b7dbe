package budget

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// MaxPerMinute is the largest budget that can be configured, or is believed.
const MaxPerMinute = 100_000

// Kind is what factro counts requests by.
type Kind string

// The kinds that answers can show.
const (
	Unknown   Kind = "unknown" // no answer has told, or none yet
	ByKey     Kind = "key"     // the API key
	ByAddress Kind = "address" // something that clouds with different keys have in common, or that is not the key
)

// Kinds are all of them.
var Kinds = []Kind{Unknown, ByKey, ByAddress}

// Pool holds the budgets of a process. Clouds with the same API key share one. If factro's answers show that it counts by
// something else, all clouds with the same partition key share one, and a cloud whose key has not been seen in an answer joins them.
type Pool struct {
	mu     sync.Mutex
	shares []*Share
	sites  map[string]*site
}

// site is one installation of factro's API, by its address.
type site struct {
	byKey      map[[sha256.Size]byte]*member
	partitions map[string]*partition // by factro's name for them
	foreign    *partition            // the first one that is not that of a key
}

// member is what is known of one API key.
type member struct {
	partition *partition
	kind      Kind
}

// NewPool makes a pool without any budget.
func NewPool() *Pool { return &Pool{sites: map[string]*site{}} }

// member returns what is known of an API key at a site. It is called under the lock.
func (p *Pool) member(url string, key secret.String) *member {
	s := p.sites[url]
	if s == nil {
		s = &site{byKey: map[[sha256.Size]byte]*member{}, partitions: map[string]*partition{}}
		p.sites[url] = s
	}
	sum := sha256.Sum256([]byte(key.Reveal()))
	m := s.byKey[sum]
	if m == nil {
		m = &member{partition: s.foreign, kind: Unknown}
		if m.partition == nil {
			m.partition = newPartition(p)
		}
		s.byKey[sum] = m
	}
	return m
}

// learnPartition takes what an answer says that it counts by, and returns whose budget the answer speaks of. news tells that it is
// something else than before.
func (p *Pool) learnPartition(url string, key secret.String, name string) (to *partition, kind Kind, news bool) {
	m := p.member(url, key)
	if name == "" {
		return m.partition, m.kind, false
	}
	s := p.sites[url]
	was, from := m.kind, m.partition
	names := factro.PartitionOf(key.Reveal())
	m.kind = ByAddress
	if slices.Contains(names[:], name) {
		m.kind = ByKey
	}
	switch known := s.partitions[name]; {
	case known != nil:
		m.partition = known
	case from.identity == "":
		from.identity = name
		s.partitions[name] = from
	default:
		m.partition = newPartition(p)
		m.partition.identity = name
		s.partitions[name] = m.partition
	}
	if m.kind == ByAddress && s.foreign == nil {
		s.foreign = m.partition
		p.join(s, m.partition)
	}
	if m.partition != from {
		from.release(time.Now())
	}
	return m.partition, m.kind, m.kind != was
}

// join has all keys that no answer has identified share a partition.
func (p *Pool) join(s *site, to *partition) {
	for _, m := range s.byKey {
		if m.kind == Unknown && m.partition != to {
			from := m.partition
			m.partition = to
			from.release(time.Now())
		}
	}
}

// release has everybody who waits claim again, since some of them now belong to another partition.
func (p *partition) release(now time.Time) {
	for class := range p.waiting {
		for _, c := range p.waiting[class] {
			close(c.granted)
		}
		p.waiting[class] = nil
	}
	p.dispatch(now)
}

// configured is the largest budget that a cloud is allowed by its configuration.
func (p *Pool) configured() int {
	most := 0
	for _, s := range p.shares {
		most = max(most, s.perMinute)
	}
	return most
}

// reserve is the part of factro's budget that commands leave to all others.
func (p *Pool) reserve() float64 {
	most := 0.0
	for _, s := range p.shares {
		most = max(most, s.reserve)
	}
	return most
}
