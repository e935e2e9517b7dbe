package lane

import (
	"cmp"
	"slices"
)

// group is what is cut together: the entries of a lane, or those of a sender that have no lane.
type group struct{ lane, source string }

func groupOf(e Entry) group {
	if e.Lane != "" {
		return group{lane: e.Lane}
	}
	return group{source: e.Source}
}

// Cut is a group of entries that goes on in the stream from a place on, where the schedule does not know it.
type Cut struct {
	group
	From uint64
}

// Holds says whether an entry belongs to the group.
func (c Cut) Holds(e Entry) bool { return groupOf(e) == c.group }

// shares is into how many parts the room is divided: a group that has less than one is not cut, and so many entries make room for a
// cut one to go on.
const shares = 64

// part is one share of the room for so many entries.
func part(most int) int { return max(2, most/shares) }

// MakeRoom has the schedule hold fewer entries than it may. It takes the tail of the largest group out. It returns those entries,
// and false if there is no large group: then what fills the schedule are many lanes, and the rest has to wait.
func (s *Schedule) MakeRoom() (dropped []uint64, ok bool) {
	if len(s.entries) < s.most {
		return nil, true
	}
	sizes := map[group]int{}
	var largest group
	for _, e := range s.entries {
		g := groupOf(e.Entry)
		if sizes[g]++; sizes[g] > sizes[largest] {
			largest = g
		}
	}
	if sizes[largest] < part(s.most) {
		return nil, false
	}
	var tail []*entry
	for _, e := range s.entries {
		if groupOf(e.Entry) == largest && !e.front && (e.lane.head() != e || !e.lane.running) {
			tail = append(tail, e)
		}
	}
	slices.SortFunc(tail, func(a, b *entry) int { return cmp.Compare(a.Seq, b.Seq) })
	tail = tail[len(tail)/2:]
	if len(tail) == 0 {
		return nil, false
	}
	s.cuts[largest] = tail[0].Seq
	for _, e := range slices.Backward(tail) {
		dropped = append(dropped, e.Seq)
		s.Done(e.Seq)
	}
	return dropped, true
}

// Short returns a group that was cut, has few entries left, and which the schedule has room for. Few are as many as may be
// carried out soon.
func (s *Schedule) Short(few int) (Cut, bool) {
	if len(s.cuts) == 0 || len(s.entries) > s.most-part(s.most) {
		return Cut{}, false
	}
	left := map[group]int{}
	for g := range s.cuts {
		if g.lane != "" {
			if l := s.lanes[g.lane]; l != nil {
				left[g] = len(l.queue)
			}
		} else {
			left[g] = -1
		}
	}
	for _, e := range s.entries {
		if g := groupOf(e.Entry); left[g] < 0 || g.lane == "" {
			if _, cut := s.cuts[g]; cut {
				left[g] = max(left[g], 0) + 1
			}
		}
	}
	var best Cut
	for g, from := range s.cuts {
		if left[g] <= few && (best.From == 0 || from < best.From) {
			best = Cut{g, from}
		}
	}
	return best, best.From != 0
}

// Refill adds an entry of a cut group that was read again. The group goes on behind it. It does nothing if the group does not go on where
// the cut says: it was cut once more meanwhile, or everything comes again, and there are others before the entry.
func (s *Schedule) Refill(c *Cut, e Entry) bool {
	if from, cut := s.cuts[c.group]; !cut || from != c.From {
		return false
	}
	c.From = e.Seq + 1
	s.cuts[c.group] = c.From
	return s.put(&entry{Entry: e})
}

// Refilled says that all entries of a group up to a place are known, and reports whether there is nothing more to read for this cut:
// the group is whole again, or goes on elsewhere than the cut says.
func (s *Schedule) Refilled(c *Cut, next uint64) bool {
	if from, cut := s.cuts[c.group]; !cut || from != c.From {
		return true
	}
	if next > s.highest {
		delete(s.cuts, c.group)
		return true
	}
	c.From = max(c.From, next)
	s.cuts[c.group] = c.From
	return false
}

// Beyond is the place in the stream from which on there may be entries that the schedule does not know, and whether it has no room for
// them.
func (s *Schedule) Beyond() (from uint64, full bool) {
	from, full = s.highest+1, len(s.entries) >= s.most
	for _, at := range s.cuts {
		from, full = min(from, at), true
	}
	return from, full
}

// Behind is where an entry stands that the schedule does not know, with so many others like it before it.
func (s *Schedule) Behind(e Entry, others int) Rank {
	r := Rank{Entry: e, Before: len(s.entries) + others}
	if l := s.lanes[e.Lane]; l != nil && e.Lane != "" {
		r.Depth, r.Held = len(l.queue)+others, l.held
	}
	return r
}

// Part is how many entries of a cut group are read again at once by a schedule with room for so many.
func Part(most int) int { return max(2, most/8) }
