package lane

import (
	"maps"
	"slices"
	"time"
)

// Schedule is the order in which the waiting commands of a cloud are carried out.
type Schedule struct {
	most    int
	entries map[uint64]*entry
	lanes   map[string]*lane
	alone   map[uint64]*lane // of entries without a lane, by Same
	held    map[string]bool
	levels  [levels]level
	waiting laneHeap
	running int
	cuts    map[group]uint64
	highest uint64 // the last place in the stream that was added or cut
}

// New returns an empty schedule with room for so many entries.
func New(most int) *Schedule {
	s := &Schedule{
		most: most, entries: map[uint64]*entry{}, lanes: map[string]*lane{}, alone: map[uint64]*lane{}, held: map[string]bool{}, cuts: map[group]uint64{},
		waiting: laneHeap{less: byUntil},
	}
	for i := range s.levels {
		s.levels[i].all = map[string]*flow{}
	}
	return s
}

// Len is how many entries there are.
func (s *Schedule) Len() int { return len(s.entries) }

// Has says whether an entry is there, and whether it is being carried out.
func (s *Schedule) Has(seq uint64) (known, running bool) {
	e := s.entries[seq]
	if e == nil {
		return false, false
	}
	return true, e.lane.running && e.lane.head() == e
}

// Add adds an entry. It says whether it did: one that is there already is not added again, and neither is one behind the cut of its
// lane.
func (s *Schedule) Add(e Entry) bool {
	s.highest = max(s.highest, e.Seq)
	if from, cut := s.cuts[groupOf(e)]; cut && e.Seq >= from {
		return false
	}
	return s.put(&entry{Entry: e})
}

// Front adds an entry before the others of its lane. It is for a command that was held in that lane's first place before.
func (s *Schedule) Front(e Entry) bool {
	s.highest = max(s.highest, e.Seq)
	return s.put(&entry{Entry: e, front: true})
}

func (s *Schedule) put(e *entry) bool {
	if s.entries[e.Seq] != nil {
		return false
	}
	s.entries[e.Seq] = e
	l := laneOf(s, e.Entry)
	if len(l.queue) > 0 && l.in != nil {
		s.unfile(l) // its first entry or its priority may be another one then
	}
	l.insert(e)
	s.file(l)
	return true
}

// laneOf returns the lane of an entry.
func laneOf(s *Schedule, e Entry) *lane {
	if e.Lane == "" {
		return laneIn(s.alone, e.Same, &lane{})
	}
	return laneIn(s.lanes, e.Lane, &lane{key: e.Lane, held: s.held[e.Lane]})
}

func laneIn[K comparable](all map[K]*lane, key K, fresh *lane) *lane {
	var none K
	if key == none {
		return fresh
	}
	if all[key] == nil {
		all[key] = fresh
	}
	return all[key]
}

// Next takes the entry to carry out next. It is carried out until Done or Wait is called for it.
func (s *Schedule) Next(now time.Time) (Entry, bool) {
	if !s.Ready(now) {
		return Entry{}, false
	}
	for i := range s.levels {
		if s.levels[i].Len() == 0 {
			continue
		}
		l := s.levels[i].next()
		l.running = true
		s.running++
		return l.head().Entry, true
	}
	return Entry{}, false
}

// Ready says whether Next has an entry.
func (s *Schedule) Ready(now time.Time) bool {
	for s.waiting.Len() > 0 && !s.waiting.lanes[0].until.After(now) {
		l := s.waiting.lanes[0]
		s.unfile(l)
		l.until = time.Time{}
		s.file(l)
	}
	return slices.ContainsFunc(s.levels[:], func(v level) bool { return v.Len() > 0 })
}

// Wake is when the next lane stops waiting; the zero time if none waits.
func (s *Schedule) Wake() time.Time {
	if s.waiting.Len() == 0 {
		return time.Time{}
	}
	return s.waiting.lanes[0].until
}

// Done takes an entry out, whether it is being carried out or not.
func (s *Schedule) Done(seq uint64) {
	e := s.entries[seq]
	if e == nil {
		return
	}
	delete(s.entries, seq)
	l := e.lane
	s.unfile(l)
	if l.running && l.head() == e {
		s.running--
	}
	l.remove(e)
	if len(l.queue) == 0 && l.key == "" {
		delete(s.alone, e.Same)
	}
	s.file(l)
}

// Wait ends an attempt to carry out an entry. It stays the first one of its lane, and is not carried out before a time.
func (s *Schedule) Wait(seq uint64, until time.Time) {
	e := s.entries[seq]
	if e == nil || !e.lane.running || e.lane.head() != e {
		return
	}
	s.running--
	e.lane.running, e.lane.until = false, until
	s.file(e.lane)
}

// Hold keeps a lane from being carried out until Release, whatever is in it.
func (s *Schedule) Hold(key string) {
	s.held[key] = true
	setHeld(s, key, true)
}

// Release ends a hold.
func (s *Schedule) Release(key string) {
	delete(s.held, key)
	setHeld(s, key, false)
}

// AllHeld are the lanes that are held.
func (s *Schedule) AllHeld() []string { return slices.Collect(maps.Keys(s.held)) }

// Resume adds an entry that is being carried out already.
func (s *Schedule) Resume(e Entry) {
	if !s.Add(e) {
		return
	}
	l := s.entries[e.Seq].lane
	s.unfile(l)
	l.running = true
	s.running++
}

// Advance puts an entry before the others of its lane, as Front does, unless it is being carried out.
func Advance(s *Schedule, seq uint64) {
	e := s.entries[seq]
	if e == nil || e.front || e.lane.running && e.lane.head() == e {
		return
	}
	l := e.lane
	s.unfile(l)
	l.remove(e)
	e.front = true
	l.insert(e)
	s.file(l)
}

// Led says whether an entry of a lane was put before the others.
func Led(s *Schedule, key string) bool {
	l := s.lanes[key]
	return l != nil && key != "" && l.head().front
}

// Held says whether a lane is held.
func (s *Schedule) Held(key string) bool { return key != "" && s.held[key] }

// Counts are how many lanes do not simply go on.
type Counts struct {
	Held    int // until Release
	Waiting int // for the next attempt at their first entry
	Cut     int // their tail does not fit, and is read again later
}

// Count counts them.
func Count(s *Schedule) Counts { return Counts{len(s.held), s.waiting.Len(), len(s.cuts)} }

func setHeld(s *Schedule, key string, held bool) {
	if l := s.lanes[key]; l != nil && key != "" {
		s.unfile(l)
		l.held = held
		s.file(l)
	}
}

// unfile takes a lane out of where it is ready or waits.
func (s *Schedule) unfile(l *lane) {
	switch l.in {
	case nil:
	case &s.waiting:
		s.waiting.drop(l)
	default:
		s.levels[l.filed].unready(l)
	}
}

// file puts a lane where its state wants it. A held lane still carries out what was put to its front.
func (s *Schedule) file(l *lane) {
	switch {
	case len(l.queue) == 0:
		if l.key != "" {
			delete(s.lanes, l.key)
		}
	case l.running, l.held && !l.head().front:
	case !l.until.IsZero():
		s.waiting.add(l)
	default:
		l.filed = l.priority()
		s.levels[l.filed].ready(l)
	}
}

// Highest is the last place in the stream that was added or cut.
func (s *Schedule) Highest() uint64 { return s.highest }
