package index

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
)

// Along takes the items that are carried out together with one that Next has taken, at most so many.
func Along(x *Index, it *Item, most int) []*Item {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []*Item
	for _, e := range lane.Along(x.schedule, it.Entry, time.Now(), most) {
		along := x.items[e.Seq]
		along.Tries++
		all = append(all, along)
	}
	return all
}

// Alone has an item be carried out alone from now on.
func Alone(x *Index, it *Item) {
	x.mu.Lock()
	defer x.mu.Unlock()
	it.Batch = ""
	lane.Alone(x.schedule, it.Seq)
}
