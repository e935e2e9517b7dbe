package mirror

import (
	"fmt"
	"runtime"
	"testing"
)

// TestSeen: the set has what was added and nothing else, in 16 bytes for each id at most.
func TestSeen(t *testing.T) { //nolint:paralleltest // others would take memory
	const ids = 100_000
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := memory()
	s := &seen{}
	for n := range ids {
		id := fmt.Sprint("o-", n)
		if s.has(id) {
			t.Fatalf("it has %s, which was not added", id)
		}
		if s.add(id); !s.has(id) {
			t.Fatalf("it does not have %s", id)
		}
	}
	took := memory() - before
	for n := range ids {
		if !s.has(fmt.Sprint("o-", n)) {
			t.Fatalf("it has lost o-%d", n)
		}
	}
	if s.has(fmt.Sprint("o-", ids)) {
		t.Error("it has what was never added")
	}
	const rest = 512 << 10 // those that are not sorted in yet
	if took > 16*ids+rest {
		t.Errorf("it takes %d bytes", took)
	}
	t.Logf("%d bytes for %d ids", took, ids)
}
