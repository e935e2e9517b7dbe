package reconcile

import (
	"cmp"
	"container/heap"
	"slices"
)

// moment is a record or an event on the time line.
type moment struct {
	at      int64
	index   int // among the records or the events
	isEvent bool
}

// pair is a record and an event that may match, by their indexes.
type pair struct{ record, event int }

// span is how much earlier or later than its record an event may be, in milliseconds.
type span struct{ before, after int64 }

func (s span) holds(record, event int64) bool {
	return event >= record-s.before && event <= record+s.after
}

// nearest matches records with events that are equal except for their times: it takes the two that are nearest to each
// other, again and again. On a line they are neighbours: anything between them would be nearer to one of them, and within
// the span as well. So only neighbours are compared, including those that become neighbours when a pair between them is
// removed.
//
// It does not maximize the number of matches. That would match every duplicate event, and hide a loss for each.
func nearest(line []moment, within span) []pair {
	slices.SortFunc(line, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.index, b.index))
	})
	next, prev := make([]int, len(line)), make([]int, len(line))
	q := &distances{}
	consider := func(left, right int) {
		if left < 0 || right >= len(line) || line[left].isEvent == line[right].isEvent {
			return
		}
		record, event := line[left], line[right]
		if record.isEvent {
			record, event = event, record
		}
		if within.holds(record.at, event.at) {
			heap.Push(q, distance{line[right].at - line[left].at, left, right})
		}
	}
	for i := range line {
		next[i], prev[i] = i+1, i-1
		consider(i-1, i)
	}
	gone := make([]bool, len(line))
	var out []pair
	for q.Len() > 0 {
		g, _ := heap.Pop(q).(distance)
		if gone[g.left] || gone[g.right] {
			continue
		}
		gone[g.left], gone[g.right] = true, true
		record, event := line[g.left], line[g.right]
		if record.isEvent {
			record, event = event, record
		}
		out = append(out, pair{record.index, event.index})
		left, right := prev[g.left], next[g.right]
		if left >= 0 {
			next[left] = right
		}
		if right < len(line) {
			prev[right] = left
		}
		consider(left, right)
	}
	return out
}

// distance is the time between two neighbours on the line, one of them a record and the other an event.
type distance struct {
	width       int64
	left, right int
}

// distances is a heap, the narrowest first.
type distances []distance

func (q distances) Len() int { return len(q) }
func (q distances) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].width, q[j].width), cmp.Compare(q[i].left, q[j].left)) < 0
}
func (q distances) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *distances) Push(x any) {
	g, _ := x.(distance)
	*q = append(*q, g)
}

func (q *distances) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
