package queue

import "slices"

// places are the places of events in their stream, in order, from the first that is not covered on.
type places struct {
	covered uint64 // all up to here are
	highest uint64 // the last that came
	all     []place
}

type place struct {
	sequence uint64
	done     bool
}

// add adds a place, unless it came before.
func (p *places) add(sequence uint64) bool {
	if sequence <= p.highest {
		return false
	}
	p.highest = sequence
	p.all = append(p.all, place{sequence: sequence})
	return true
}

func (p *places) done(sequence uint64) {
	at, found := slices.BinarySearchFunc(p.all, sequence, func(a place, s uint64) int {
		switch {
		case a.sequence < s:
			return -1
		case a.sequence > s:
			return 1
		}
		return 0
	})
	if !found {
		return
	}
	p.all[at].done = true
	n := 0
	for n < len(p.all) && p.all[n].done {
		p.covered = p.all[n].sequence
		n++
	}
	p.all = p.all[n:]
}

func (p *places) open() int { return len(p.all) }
