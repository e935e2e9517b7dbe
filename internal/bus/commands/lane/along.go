package lane

import (
	"cmp"
	"slices"
	"time"
)

// Along takes the entries that are carried out together with one that Next has taken, at most so many: those that have the same
// Batch, are the first ones of their lanes and do not wait. Priority counts first, then the order of the stream. They are not
// counted against their senders, since together they cost as much as the one alone.
func Along(s *Schedule, with Entry, now time.Time, most int) []Entry {
	if with.Batch == "" || most <= 0 || !s.Ready(now) {
		return nil
	}
	type rider struct {
		*lane
		level int
	}
	before := func(a, b rider) int { return cmp.Or(a.level-b.level, cmp.Compare(a.head().Seq, b.head().Seq)) }
	var first []rider // sorted
	for level := range s.levels {
		for _, f := range s.levels[level].flows {
			for _, l := range f.ready.lanes {
				r := rider{l, level}
				if l.head().Batch != with.Batch || len(first) == most && before(r, first[most-1]) > 0 {
					continue
				}
				at, _ := slices.BinarySearchFunc(first, r, before)
				first = slices.Insert(first, at, r)
				first = first[:min(len(first), most)]
			}
		}
	}
	all := make([]Entry, len(first))
	for i, r := range first {
		s.unfile(r.lane)
		r.running = true
		s.running++
		all[i] = r.head().Entry
	}
	return all
}

// Alone has an entry be carried out alone from now on.
func Alone(s *Schedule, seq uint64) {
	if e := s.entries[seq]; e != nil {
		e.Batch = ""
	}
}
