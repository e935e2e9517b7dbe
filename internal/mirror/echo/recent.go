package echo

import (
	"cmp"
	"hash/maphash"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// Limits are the bounds of a Recent. Zero values have defaults.
type Limits struct {
	// Commands is how many are kept; 10,000 by default, which takes about 25 MB at most.
	Commands int
	// Age is how long a command is kept; 10 minutes by default.
	Age time.Duration
	// Skew is how far the clocks of factro and of bridges may differ; 2 seconds by default.
	Skew time.Duration
	// Drop are the fields, by resource, that the objects of changes do not have, although factro's answers have them.
	Drop map[string][]string
}

func (l Limits) withDefaults() Limits {
	l.Commands = cmp.Or(l.Commands, 10_000)
	l.Age = cmp.Or(l.Age, 10*time.Minute)
	l.Skew = cmp.Or(l.Skew, 2*time.Second)
	return l
}

// Recent are the commands of the last minutes, by their objects. It may be used by several goroutines.
type Recent struct {
	limits Limits
	digest digester

	mu       sync.Mutex
	entities map[entityKey]*entity
	commands []*command // in the order in which they came
	reads    []read     // likewise
	newest   time.Time  // when the latest of them finished
}

type entityKey struct{ resource, id string }

// entity is what is known of one object.
type entity struct {
	commands []*command
	// reads counts the entries in the list of reads. last is when the latest read began, before when the one before it began.
	reads        int
	last, before time.Time
}

type read struct {
	key entityKey
	at  time.Time
}

// command is a Command with digests in the places of values.
type command struct {
	id, source string
	action     Action
	doubtful   bool
	key        entityKey
	set        object // unknown for values that are not known
	answer     object // nil if there is none
	stamp      time.Time

	started, finished time.Time
	used              time.Time // when the read began whose change it was found to have made
}

// New returns an empty memory.
func New(l Limits) *Recent {
	return &Recent{limits: l.withDefaults(), digest: digester{maphash.MakeSeed()}, entities: map[entityKey]*entity{}}
}

// Add adds a command. One that is known already, whose result was repeated, is left as it is.
func (r *Recent) Add(c Command) {
	added := r.condense(c)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entity(added.key)
	for _, have := range e.commands {
		if have.id == c.ID && have.source == c.Source {
			return
		}
	}
	e.commands = append(e.commands, added)
	r.commands = append(r.commands, added)
	if added.finished.After(r.newest) {
		r.newest = added.finished
	}
	r.forget()
}

// condense replaces values by their digests.
func (r *Recent) condense(c Command) *command {
	out := &command{
		id: c.ID, source: c.Source, action: c.Action, doubtful: c.Doubtful, key: entityKey{c.Resource, c.EntityID},
		set: make(object, len(c.Set)), started: c.StartedAt, finished: c.FinishedAt,
	}
	for name, value := range c.Set {
		out.set[name] = unknown
		if value != nil {
			out.set[name] = r.digest.of(value)
		}
	}
	if fields, err := jsontext.Object(c.Answer); err == nil {
		out.answer, out.stamp = r.digest.objectOf(fields, r.limits.Drop[c.Resource]), timeIn(fields, stamps)
	}
	return out
}

// Seen notes a read of an object that showed no change: what was carried out before it can make no later change. Mark does the
// same. It is also for the read of a state from before a restart.
func (r *Recent) Seen(resource, id string, readAt time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saw(entityKey{resource, id}, readAt)
}

// saw notes a read and returns the entity, and when the read before began.
func (r *Recent) saw(key entityKey, at time.Time) (e *entity, before time.Time) {
	e = r.entity(key)
	if at.After(e.last) {
		e.before, e.last = e.last, at
		e.reads++
		r.reads = append(r.reads, read{key, at})
		r.forget()
	}
	return e, e.before
}

func (r *Recent) entity(key entityKey) *entity {
	e := r.entities[key]
	if e == nil {
		e = &entity{}
		r.entities[key] = e
	}
	return e
}

// forget drops what is too old or too much.
func (r *Recent) forget() {
	oldest := r.newest.Add(-r.limits.Age)
	for len(r.commands) > r.limits.Commands || len(r.commands) > 0 && r.commands[0].finished.Before(oldest) {
		c := r.commands[0]
		r.commands[0], r.commands = nil, r.commands[1:]
		e := r.entities[c.key]
		e.commands = e.commands[1:] // those of an entity came in the same order
		r.dropIfEmpty(c.key, e)
	}
	for len(r.reads) > r.limits.Commands {
		key := r.reads[0].key
		r.reads = r.reads[1:]
		e := r.entities[key]
		e.reads--
		r.dropIfEmpty(key, e)
	}
}

func (r *Recent) dropIfEmpty(key entityKey, e *entity) {
	if len(e.commands) == 0 && e.reads == 0 {
		delete(r.entities, key)
	}
}
