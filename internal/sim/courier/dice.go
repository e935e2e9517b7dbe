package courier

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// Dice is the one source of chance and of ids, repeatable by its seed.
type Dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

// NewDice makes the dice of a seed.
func NewDice(seed uint64) *Dice { return &Dice{source: rand.New(rand.NewPCG(seed, seed))} }

// Skip goes on with other dice, as far from the first ones as there are lines in the journal.
func (d *Dice) Skip(lines int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if lines > 0 {
		d.source = rand.New(rand.NewPCG(d.source.Uint64(), uint64(lines)))
	}
}

// Hits says whether what has this probability happens.
func (d *Dice) Hits(probability float64) bool {
	if probability <= 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.Float64() < probability
}

func (d *Dice) shuffle(n int, swap func(i, j int)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.source.Shuffle(n, swap)
}

// ID is a random uuid (version 4).
func (d *Dice) ID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, b := d.source.Uint64(), d.source.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}
