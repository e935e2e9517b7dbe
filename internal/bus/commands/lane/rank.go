package lane

import (
	"cmp"
	"slices"
	"time"
)

// Rank is where a waiting entry stands.
type Rank struct {
	Entry
	// Before is how many entries are likely to go before it.
	Before int
	// Depth is how many of them are in its lane.
	Depth int
	// Until is the time before which its lane is not carried out; Held says that nobody knows that time.
	Until time.Time
	Held  bool
}

// Ranks estimates the order in which the waiting entries are carried out, the next one first. Those that are being carried out
// count as before all others and are not in it.
func (s *Schedule) Ranks() []Rank {
	type place struct {
		Rank
		lane   *lane
		level  Priority
		served uint64
	}
	var all []place
	seen := map[*lane]bool{}
	for _, e := range s.entries {
		if l := e.lane; !seen[l] {
			seen[l] = true
			level := l.priority()
			for i, e := range l.queue {
				if i == 0 && l.running {
					continue
				}
				all = append(all, place{Rank: Rank{Entry: e.Entry, Depth: i, Until: l.until, Held: l.held && !e.front}, lane: l, level: level})
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.Seq, b.Seq) })
	type sender struct {
		level  Priority
		source string
	}
	served, ahead := map[sender]uint64{}, map[*lane]uint64{}
	for i := range all {
		p := &all[i]
		who := sender{p.level, p.Source}
		if served[who] == 0 {
			v := &s.levels[p.level]
			served[who] = v.now + 1
			if f := v.all[p.Source]; f != nil {
				served[who] = max(f.served, v.now) + 1
			}
		}
		p.served = max(served[who], ahead[p.lane]) // in a lane, the order of the stream counts more than what its sender had
		ahead[p.lane] = p.served
		if !p.Held {
			served[who]++
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.served, b.served), cmp.Compare(a.Seq, b.Seq))
	})
	ranks, n := make([]Rank, len(all)), s.running
	for i, p := range all {
		ranks[i] = p.Rank
		ranks[i].Before = max(n, p.Depth)
		if !p.Held {
			n++
		}
	}
	return ranks
}
