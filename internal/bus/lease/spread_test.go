package lease

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// fleetOf plays bridges that take and give up leases as spread says, without a server and without time.
type fleetOf struct {
	t     *testing.T
	wants map[string][]string
	held  map[string]string
	moved int
}

func keysOf(kind string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s.c%d", kind, i))
	}
	return out
}

// settle has all do what spread says until nothing changes, in an order that differs each time.
func (f *fleetOf) settle() {
	f.t.Helper()
	for range 100 {
		due := spread(f.wants, f.held)
		if !maps.Equal(due, spread(f.wants, f.held)) {
			f.t.Fatal("two bridges that see the same decide otherwise")
		}
		changed := false
		for key, bridge := range due {
			if f.held[key] == bridge || rand.N(3) == 0 { // some are slow
				changed = changed || f.held[key] != bridge
				continue
			}
			if f.held[key] != "" {
				f.moved++
			}
			if changed = true; f.held[key] != "" && rand.N(2) == 0 { // given up, and not taken yet
				delete(f.held, key)
			} else {
				f.held[key] = bridge
			}
		}
		if !changed {
			f.check(due)
			return
		}
	}
	f.t.Fatal("it never comes to rest")
}

func (f *fleetOf) count(bridge, of string) (n int) {
	for key, holder := range f.held {
		if holder == bridge && kind(key) == of {
			n++
		}
	}
	return n
}

// check: each wanted key has a holder that wants it, and nobody has two more than another who wants one of them.
func (f *fleetOf) check(due map[string]string) {
	f.t.Helper()
	if !maps.Equal(due, f.held) {
		f.t.Errorf("due %v, held %v", due, f.held)
	}
	for bridge, keys := range f.wants {
		for _, key := range keys {
			holder := f.held[key]
			if !slices.Contains(f.wants[holder], key) {
				f.t.Errorf("%s is wanted and %q has it, which does not want it", key, holder)
			}
			if rich, poor := f.count(holder, kind(key)), f.count(bridge, kind(key)); rich-poor > 1 {
				f.t.Errorf("%s has %d keys, %s wants one of them and has %d", holder, rich, bridge, poor)
			}
		}
	}
}

func (f *fleetOf) leave(bridge string) {
	delete(f.wants, bridge)
	maps.DeleteFunc(f.held, func(_, holder string) bool { return holder == bridge })
}

func (f *fleetOf) counts(of string) (out []int) {
	for bridge := range f.wants {
		out = append(out, f.count(bridge, of))
	}
	slices.Sort(out)
	return out
}

// TestSpread: joins, leaves and kills, and what each comes to.
func TestSpread(t *testing.T) {
	t.Parallel()
	type step struct {
		join, leave string
		keys        []string
		want        []int // of the commands
		most        int   // how many leases that somebody held may move
	}
	all := keysOf("commands", 10)
	for name, steps := range map[string][]step{
		"one after the other": {
			{join: "a", keys: all, want: []int{10}},
			{join: "b", keys: all, want: []int{5, 5}, most: 5},
			{join: "c", keys: all, want: []int{3, 3, 4}, most: 3},
			{leave: "a", want: []int{5, 5}},
			{join: "d", keys: all, want: []int{3, 3, 4}, most: 3},
			{leave: "b", want: []int{5, 5}},
			{leave: "c", want: []int{10}},
		},
		"more bridges than clouds": {
			{join: "a", keys: all[:2], want: []int{2}},
			{join: "b", keys: all[:2], want: []int{1, 1}, most: 1},
			{join: "c", keys: all[:2], want: []int{0, 1, 1}},
			{leave: "a", want: []int{1, 1}},
		},
		"bridges of different clouds": {
			{join: "a", keys: all[:6], want: []int{6}},
			{join: "b", keys: all[4:], want: []int{5, 5}, most: 2},
			{join: "c", keys: all[:2], want: []int{2, 4, 4}, most: 3},
			{leave: "c", want: []int{5, 5}, most: 1},
		},
		"reconciliation is spread by itself": {
			{join: "a", keys: append(keysOf("reconcile", 10), all...), want: []int{10}},
			{join: "b", keys: all, want: []int{5, 5}, most: 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 20 { // the order in which they act is random
				f := fleetOf{t: t, wants: map[string][]string{}, held: map[string]string{}}
				for i, s := range steps {
					f.moved = 0
					if s.join != "" {
						f.wants[s.join] = s.keys
					} else {
						f.leave(s.leave)
					}
					f.settle()
					if got := f.counts("commands"); !slices.Equal(got, s.want) {
						t.Fatalf("step %d: %v, want %v", i, got, s.want)
					}
					if f.moved > s.most {
						t.Errorf("step %d: %d leases moved, of which %d had to", i, f.moved, s.most)
					}
				}
			}
		})
	}
}

// TestSpreadRandom: bridges of any clouds come and go in any order.
func TestSpreadRandom(t *testing.T) {
	t.Parallel()
	for range 200 {
		f := fleetOf{t: t, wants: map[string][]string{}, held: map[string]string{}}
		for i := range 20 {
			if bridges := slices.Sorted(maps.Keys(f.wants)); len(bridges) > 1 && rand.N(2) == 0 {
				f.leave(bridges[rand.N(len(bridges))])
			} else {
				keys := append(keysOf("commands", 12), keysOf("reconcile", 12)...)
				if rand.N(2) == 0 {
					rand.Shuffle(len(keys), func(a, b int) { keys[a], keys[b] = keys[b], keys[a] })
					keys = keys[:1+rand.N(len(keys))]
				}
				f.wants[fmt.Sprintf("b%d", i)] = keys
			}
			f.settle()
			if t.Failed() {
				t.Fatalf("after step %d: %v", i, f.wants)
			}
		}
	}
}

// TestSpreadOutsider: a lease that somebody outside the fleet holds is nobody's to take or to give up.
func TestSpreadOutsider(t *testing.T) {
	t.Parallel()
	due := spread(map[string][]string{"a": {"commands.x", "commands.y"}}, map[string]string{"commands.x": "an operator"})
	if want := map[string]string{"commands.y": "a"}; !maps.Equal(due, want) {
		t.Errorf("due %v, want %v", due, want)
	}
}
