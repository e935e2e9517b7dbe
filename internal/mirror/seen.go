package mirror

import (
	"hash/maphash"
	"slices"
)

// seen is a set of ids. It holds a hash of each, in 8 bytes: a comparison of very many objects should take little memory. Two ids with
// the same hash would be taken for one, which is never expected to happen with 64 bits.
type seen struct {
	sorted []uint64
	recent map[uint64]struct{}
}

// mostRecent is after how many new ids they are sorted in.
const mostRecent = 4096

var hashSeed = maphash.MakeSeed()

func (s *seen) has(id string) bool {
	hash := maphash.String(hashSeed, id)
	if _, is := s.recent[hash]; is {
		return true
	}
	_, is := slices.BinarySearch(s.sorted, hash)
	return is
}

// add adds an id that it does not have.
func (s *seen) add(id string) {
	if s.recent == nil {
		s.recent = make(map[uint64]struct{}, mostRecent)
	}
	s.recent[maphash.String(hashSeed, id)] = struct{}{}
	if len(s.recent) < mostRecent {
		return
	}
	s.sorted = slices.Grow(s.sorted, mostRecent)
	for hash := range s.recent {
		s.sorted = append(s.sorted, hash)
	}
	slices.Sort(s.sorted)
	clear(s.recent)
}
