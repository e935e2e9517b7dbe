package lease

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
)

// spread says which bridge should hold each key, given the keys that each bridge wants or holds, and who holds which key. All
// bridges that see the same reach the same result.
//
// Of each kind of keys, no bridge has two more than another that wants one of them, and as few keys as possible move. A key that is
// held by one that does not want it, as by a command of an operator, has no place in the result.
func spread(wants map[string][]string, held map[string]string) map[string]string {
	kinds := map[string][]string{}
	wanted := map[string][]string{} // the bridges that want a key, in order
	for _, bridge := range slices.Sorted(maps.Keys(wants)) {
		for _, key := range wants[bridge] {
			if len(wanted[key]) == 0 {
				kinds[kind(key)] = append(kinds[kind(key)], key)
			}
			wanted[key] = append(wanted[key], bridge)
		}
	}
	s := spreader{wanted: wanted, all: map[string]int{}, result: map[string]string{}}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		s.spread(slices.Sorted(slices.Values(kinds[k])), held)
	}
	return s.result
}

type spreader struct {
	wanted map[string][]string
	count  map[string]int // keys of this kind, by bridge
	all    map[string]int // keys of all kinds
	result map[string]string
}

func (s *spreader) give(key, bridge string) {
	if from, ok := s.result[key]; ok {
		s.count[from]--
		s.all[from]--
	}
	s.result[key] = bridge
	s.count[bridge]++
	s.all[bridge]++
}

// spread places the keys of one kind.
func (s *spreader) spread(keys []string, held map[string]string) {
	s.count = map[string]int{}
	for _, key := range keys {
		for _, bridge := range s.wanted[key] {
			s.count[bridge] += 0
			if held[key] == bridge {
				s.give(key, bridge)
			}
		}
	}
	for _, key := range keys {
		if held[key] == "" {
			s.give(key, slices.MinFunc(s.wanted[key], func(a, b string) int {
				return cmp.Or(s.count[a]-s.count[b], s.all[a]-s.all[b], cmp.Compare(weight(key, b), weight(key, a)), cmp.Compare(a, b))
			}))
		}
	}
	for s.move(keys) {
	}
}

// move takes one key from a bridge that has at least two more than another that wants it, from the one with the most to the one
// with the fewest.
func (s *spreader) move(keys []string) bool {
	bridges := slices.Collect(maps.Keys(s.count))
	slices.SortFunc(bridges, func(a, b string) int {
		return cmp.Or(s.count[a]-s.count[b], s.all[a]-s.all[b], cmp.Compare(a, b))
	})
	for _, rich := range slices.Backward(bridges) {
		for _, poor := range bridges {
			if s.count[rich]-s.count[poor] < 2 {
				break
			}
			best := ""
			for _, key := range keys {
				if s.result[key] == rich && slices.Contains(s.wanted[key], poor) && (best == "" || weight(key, poor) > weight(best, poor)) {
					best = key
				}
			}
			if best != "" {
				s.give(best, poor)
				return true
			}
		}
	}
	return false
}

// weight orders bridges for a key, and keys for a bridge, differently for each: rendezvous hashing.
func weight(key, bridge string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(bridge + "\x00" + key)) // it never fails
	// FNV mixes the last bytes badly into the upper bits, by which numbers are compared.
	n := h.Sum64()
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	return n ^ n>>33
}
