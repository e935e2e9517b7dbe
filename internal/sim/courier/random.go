package courier

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// Random is the only source of random decisions and ids. The same seed gives the same values.
type Random struct {
	mu     sync.Mutex
	source *rand.Rand
}

// NewRandom makes a source with a seed.
func NewRandom(seed uint64) *Random { return &Random{source: rand.New(rand.NewPCG(seed, seed))} }

// Skip changes the source, depending on the number of lines in the journal, so that it does not repeat earlier values.
func (d *Random) Skip(lines int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if lines > 0 {
		d.source = rand.New(rand.NewPCG(d.source.Uint64(), uint64(lines)))
	}
}

// Happens decides whether something with this probability happens.
func (d *Random) Happens(probability float64) bool {
	if probability <= 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.Float64() < probability
}

func (d *Random) shuffle(n int, swap func(i, j int)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.source.Shuffle(n, swap)
}

// ID is a random uuid (version 4).
func (d *Random) ID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, b := d.source.Uint64(), d.source.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}
