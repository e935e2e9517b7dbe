package lane

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Priority is what goes before fairness. A lower value goes first.
type Priority uint8

// The priorities of commands.
const (
	High Priority = iota
	Normal
	Low
	levels
)

// Entry is a waiting command.
type Entry struct {
	// Seq is its place in the stream.
	Seq uint64
	// Lane is what it is in order with; an entry without one is in order with nothing.
	Lane string
	// Same is a hash that it has in common with another sending of the same command, 0 if there is none. Without a lane it is in order
	// with those.
	Same uint64
	// Makes is the name of what it makes, for those behind it that name it; empty if it makes nothing with a name.
	Makes string
	// Source is its sender.
	Source   string
	Priority Priority
	// Batch is what entries have in common that can be carried out together; empty for one that is carried out alone.
	Batch string
}

// entry is an entry in its lane.
type entry struct {
	Entry
	front bool // it goes before the others of its lane
	lane  *lane
}

// before orders the entries of a lane.
func before(a, b *entry) int {
	switch {
	case a.front && !b.front:
		return -1
	case b.front && !a.front:
		return 1
	}
	return cmp.Compare(a.Seq, b.Seq)
}

// lane is a row of entries. Only the first one may be carried out.
type lane struct {
	key     string // empty for entries without a lane: one command, and what was sent again of it
	queue   []*entry
	counts  [levels]int
	running bool // its first entry is being carried out
	held    bool
	until   time.Time // not before this time

	in    *laneHeap // where it is ready or waits; nil if neither
	flow  *flow     // the one where it is ready
	index int       // in that heap
	filed Priority  // the level where it is ready
}

func (l *lane) head() *entry { return l.queue[0] }

// priority is the highest one of its entries, so that none is held up by those before it.
func (l *lane) priority() Priority {
	for p := range levels {
		if l.counts[p] > 0 {
			return p
		}
	}
	return Low
}

// insert puts an entry where the order of the lane wants it, and never before a running one.
func (l *lane) insert(e *entry) {
	e.lane = l
	l.counts[e.Priority]++
	from := 0
	if l.running {
		from = 1
	}
	at := len(l.queue)
	if at > from && before(e, l.queue[at-1]) < 0 {
		n, _ := slices.BinarySearchFunc(l.queue[from:], e, before)
		at = from + n
	}
	l.queue = slices.Insert(l.queue, at, e)
}

// remove takes an entry out.
func (l *lane) remove(e *entry) {
	at := slices.Index(l.queue, e)
	if at < 0 {
		return
	}
	if at == 0 {
		l.running, l.until = false, time.Time{}
		l.queue[0] = nil
		l.queue = l.queue[1:]
	} else {
		l.queue = slices.Delete(l.queue, at, at+1)
	}
	l.counts[e.Priority]--
}

// laneHeap are lanes, the first one first.
type laneHeap struct {
	lanes []*lane
	less  func(a, b *lane) bool
}

func (h *laneHeap) Len() int           { return len(h.lanes) }
func (h *laneHeap) Less(i, j int) bool { return h.less(h.lanes[i], h.lanes[j]) }
func (h *laneHeap) Swap(i, j int) {
	h.lanes[i], h.lanes[j] = h.lanes[j], h.lanes[i]
	h.lanes[i].index, h.lanes[j].index = i, j
}

// Push is for container/heap.
func (h *laneHeap) Push(x any) {
	l := x.(*lane) //nolint:forcetypeassert,errcheck // of our own making
	l.index = len(h.lanes)
	h.lanes = append(h.lanes, l)
}

// Pop is for container/heap.
func (h *laneHeap) Pop() any {
	last := len(h.lanes) - 1
	l := h.lanes[last]
	h.lanes[last] = nil
	h.lanes = h.lanes[:last]
	return l
}

func (h *laneHeap) add(l *lane) {
	l.in = h
	heap.Push(h, l)
}

func (h *laneHeap) drop(l *lane) {
	heap.Remove(h, l.index)
	l.in = nil
}

func bySeq(a, b *lane) bool   { return a.head().Seq < b.head().Seq }
func byUntil(a, b *lane) bool { return a.until.Before(b.until) }

// flow are the ready lanes of one sender at one priority.
type flow struct {
	source string
	served uint64 // its virtual time: how much it was served
	ready  laneHeap
	index  int
}

// level are the senders of one priority. Each gets the same share: the one that was served least goes first, and one that comes
// back from having nothing to do starts at the time of the level, so that it saves up nothing.
type level struct {
	now   uint64 // the virtual time
	flows []*flow
	all   map[string]*flow
}

func (v *level) Len() int { return len(v.flows) }
func (v *level) Less(i, j int) bool {
	a, b := v.flows[i], v.flows[j]
	if a.served != b.served {
		return a.served < b.served
	}
	return bySeq(a.ready.lanes[0], b.ready.lanes[0])
}

func (v *level) Swap(i, j int) {
	v.flows[i], v.flows[j] = v.flows[j], v.flows[i]
	v.flows[i].index, v.flows[j].index = i, j
}

// Push is for container/heap.
func (v *level) Push(x any) {
	f := x.(*flow) //nolint:forcetypeassert,errcheck // of our own making
	f.index = len(v.flows)
	v.flows = append(v.flows, f)
}

// Pop is for container/heap.
func (v *level) Pop() any {
	last := len(v.flows) - 1
	f := v.flows[last]
	v.flows[last] = nil
	v.flows = v.flows[:last]
	return f
}

// ready adds a lane.
func (v *level) ready(l *lane) {
	source := l.head().Source
	f := v.all[source]
	if f == nil {
		f = &flow{source: source, ready: laneHeap{less: bySeq}}
		v.all[source] = f
	}
	l.flow = f
	f.ready.add(l)
	if f.ready.Len() == 1 {
		f.served = max(f.served, v.now)
		heap.Push(v, f)
		return
	}
	heap.Fix(v, f.index)
}

// unready takes a lane out.
func (v *level) unready(l *lane) {
	f := l.flow
	l.flow = nil
	if f.ready.Len() == 1 { // before it is empty: the order needs its first lane
		heap.Remove(v, f.index)
		f.ready.drop(l)
		v.sweep()
		return
	}
	f.ready.drop(l)
	heap.Fix(v, f.index)
}

// next takes the lane that goes first.
func (v *level) next() *lane {
	f := v.flows[0]
	l := f.ready.lanes[0]
	v.now = f.served
	f.served++
	v.unready(l)
	return l
}

// sweep forgets senders that have nothing to do and have saved up nothing.
func (v *level) sweep() {
	if len(v.all) <= 2*len(v.flows)+64 {
		return
	}
	for source, f := range v.all {
		if f.ready.Len() == 0 && f.served <= v.now {
			delete(v.all, source)
		}
	}
}
