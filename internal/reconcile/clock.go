package reconcile

import (
	"slices"
	"time"
)

const (
	// tick is the resolution of the clock difference, in milliseconds: most deliveries take that long at most.
	tick = int64(10 * time.Second / time.Millisecond)
	// mostLooks limits how many events a record is compared with.
	mostLooks = 32
)

// clockOffset estimates how much later events are than their records, in milliseconds: how far factro's clock is behind
// ours plus the time of a delivery, or, if negative, how far that clock is ahead. Each record is compared with the events
// that it could match. The wrong ones give random differences; the right ones mostly give the same. Without such a majority
// it is 0: deliveries take very different times.
//
// It matters when factro's clock is ahead: the nearest event would be that of an earlier record.
func clockOffset(records []record, events []streamEvent) int64 {
	of := map[uint64][]int64{} // times of events by context
	for _, e := range events {
		if !e.taken && !e.reconciled {
			of[e.context] = append(of[e.context], e.at)
		}
	}
	for _, times := range of {
		slices.Sort(times)
	}
	type ballot struct{ votes, sum int64 }
	ballots, voters := map[int64]ballot{}, int64(0)
	for _, r := range records {
		times := of[r.context]
		first, _ := slices.BinarySearch(times, r.at-millis(maxSkew))
		voted := false
		for _, at := range times[first:min(first+mostLooks, len(times))] {
			if at > r.at+millis(maxSkew) {
				break
			}
			later := at - r.at
			b := ballots[floor(later)]
			ballots[floor(later)] = ballot{b.votes + 1, b.sum + later}
			voted = true
		}
		if voted {
			voters++
		}
	}
	var best ballot
	for bucket, b := range ballots {
		next := ballots[bucket+1] // the true difference may be on the border
		b = ballot{b.votes + next.votes, b.sum + next.sum}
		if b.votes > best.votes || b.votes == best.votes && b.sum < best.sum {
			best = b
		}
	}
	if voters < 4 || best.votes*2 <= voters {
		return 0
	}
	return best.sum / best.votes
}

func floor(ms int64) int64 {
	if ms < 0 {
		return -((-ms + tick - 1) / tick)
	}
	return ms / tick
}
