package reconcile

import "slices"

// means is the rule by which a record was matched.
type means int

const (
	unmatched means = iota
	byID            // the event has the record's id
	byContext       // action and context are the same
	byEntity        // the action is the same, and the event's entity occurs in the record's context
	byAction        // the action is the same, and the record's context names no entity
)

// ages says which records are old enough to be missing: those until a time, in milliseconds. grace is the longest usual
// time of a delivery.
type ages struct{ until, grace int64 }

// match finds the event of each record, the strictest rule first. Each record and each event is taken at most once. It
// returns how much later than their records the events are, as far as that can be seen.
//
// Two deliveries of the same kind for one object have equal bodies, so only times tell them apart, and not for sure. What
// matters comes out right all the same: as many events are missing as there are.
//
//  1. By id, if they are about the same: an id may name a webhook or an object. A second event of the same id is the same
//     delivery again, and taken as well.
//  2. By action and context, the nearest in time first.
//  3. By action and entity, wherever in the record's context it stands. In the one public example of a record the context
//     is another one than in deliveries.
//  4. By action and time, for records that name no entity. A record that does name one counts as if it did not while
//     nothing of its action was matched by its context: then records and deliveries of this action seem to name
//     different things, and to take that for a loss would double every event.
//
// Once an id that a delivery brought was found among the records, deliveries bring the records' ids; then an event with an
// id of its own is matched by that only.
//
// Among equals, a record that is old enough to be missing goes before those that are not: the event that is there may be
// the older one's that took its time, and the younger one's may be under way. If it is the other way round, a later run
// sees that, when both are old.
func match(records []record, events []streamEvent, within span, ages ages) (offset int64) {
	m := matcher{records: records, events: events, within: within, ages: ages, comparable: map[uint64]bool{}}
	m.byIDs()
	m.offset = clockOffset(records, events)
	m.byContexts()
	m.byEntities()
	m.byActions()
	return m.offset
}

type matcher struct {
	records  []record
	events   []streamEvent
	within   span
	ages     ages
	idsMatch bool // deliveries carry the records' ids
	offset   int64
	// comparable are the actions with a match by context.
	comparable map[uint64]bool
}

func (m *matcher) byIDs() {
	of := make(map[uint64]int, len(m.records))
	common := map[uint64]bool{}
	for i, r := range m.records {
		of[r.id] = i
		if r.shared {
			common[r.common] = true
		}
	}
	for i := range m.events {
		e := &m.events[i]
		if common[e.id] {
			e.ownID = false // not from the delivery
		}
		if r, found := of[e.id]; found && m.records[r].isAbout(*e) {
			m.records[r].by, e.taken = byID, true
			m.idsMatch = m.idsMatch || e.ownID && !e.reconciled
		}
	}
}

// isAbout reports whether an event with the record's id can be the record's: it has the same action and the same entity,
// where both are known.
func (r record) isAbout(e streamEvent) bool {
	switch {
	case r.action != e.action:
		return false
	case e.reconciled, r.context == e.context, !r.namesEntity, !e.namesEntity:
		return true
	}
	return slices.Contains(r.values, e.entity)
}

// free reports whether an event may still be matched. An event from an earlier reconciliation belongs to the record of its
// id.
func (m *matcher) free(e streamEvent) bool {
	return !e.taken && !e.reconciled && (!m.idsMatch || !e.ownID)
}

func (m *matcher) byContexts() {
	groups := newGroups(m.offset)
	for i, e := range m.events {
		if m.free(e) {
			groups.event(e.context, i, e.at)
		}
	}
	for i, r := range m.records {
		if r.by == unmatched {
			groups.record(r.context, i, r.at)
		}
	}
	for _, key := range groups.order {
		m.settle(groups.lines[key], byContext)
	}
}

// byEntities cannot group the records in advance, since a context names several objects.
func (m *matcher) byEntities() {
	groups := newGroups(m.offset)
	for i, e := range m.events {
		if m.free(e) {
			groups.event(e.entity, i, e.at)
		}
	}
	for i, r := range m.records {
		if r.by != unmatched {
			continue
		}
		for _, v := range r.values {
			groups.record(v, i, r.at)
		}
	}
	for _, key := range groups.order {
		var line []moment
		for _, x := range groups.lines[key] {
			if x.isEvent || m.records[x.index].by == unmatched {
				line = append(line, x)
			}
		}
		m.settle(line, byEntity)
	}
}

func (m *matcher) byActions() {
	groups := newGroups(m.offset)
	for i, e := range m.events {
		if m.free(e) {
			groups.event(e.action, i, e.at)
		}
	}
	for i, r := range m.records {
		if r.by == unmatched && (!r.namesEntity || !m.comparable[r.action]) {
			groups.record(r.action, i, r.at)
		}
	}
	for _, key := range groups.order {
		m.settle(groups.lines[key], byAction)
	}
}

// settle matches the moments of a line, first the old records with events that arrived within the usual time.
func (m *matcher) settle(line []moment, by means) {
	m.pair(slices.DeleteFunc(slices.Clone(line), func(x moment) bool {
		return !x.isEvent && m.isYoung(m.records[x.index].at)
	}), span{min(m.ages.grace, m.within.before), min(m.ages.grace, m.within.after)}, by)
	m.pair(slices.DeleteFunc(line, func(x moment) bool {
		return x.isEvent && m.events[x.index].taken || !x.isEvent && m.records[x.index].by != unmatched
	}), m.within, by)
}

// isYoung reports whether a record of this time is too young to be missing.
func (m *matcher) isYoung(at int64) bool { return m.ages.young(at, m.offset) }

// young reports whether a record of this time is too young to be missing. If events are later than their records, factro's
// clock may be behind ours, and the record younger than it looks.
func (a ages) young(at, offset int64) bool { return at+max(offset, 0) > a.until }

func (m *matcher) pair(line []moment, within span, by means) {
	for _, p := range nearest(line, within) {
		r := &m.records[p.record]
		r.by, m.events[p.event].taken = by, true
		if by != byAction && len(r.values) > 0 { // two equal empty contexts prove nothing
			m.comparable[r.action] = true
		}
	}
}

// groups sorts events, and the records that could match them, by a key. Only keys of events count, in the events' order, so
// that the same input always gives the same matches.
type groups struct {
	order  []uint64
	lines  map[uint64][]moment
	offset int64 // of the clocks: how much later an event is than its record
}

func newGroups(offset int64) *groups { return &groups{lines: map[uint64][]moment{}, offset: offset} }

func (g *groups) event(key uint64, index int, at int64) {
	if g.lines[key] == nil {
		g.order = append(g.order, key)
	}
	g.lines[key] = append(g.lines[key], moment{at, index, true})
}

func (g *groups) record(key uint64, index int, at int64) {
	line := g.lines[key]
	at += g.offset
	if line == nil || line[len(line)-1] == (moment{at, index, false}) { // a context can name an object twice
		return
	}
	g.lines[key] = append(line, moment{at, index, false})
}
