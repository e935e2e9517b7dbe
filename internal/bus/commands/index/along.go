package index

import "time"

// Along takes the items that are carried out together with one that Next has taken, at most so many.
func (x *Index) Along(it *Item, most int) []*Item {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []*Item
	for _, e := range x.schedule.Along(it.Entry, time.Now(), most) {
		along := x.items[e.Seq]
		along.Tries++
		all = append(all, along)
	}
	return all
}

// Alone has an item be carried out alone from now on.
func (x *Index) Alone(it *Item) {
	x.mu.Lock()
	defer x.mu.Unlock()
	it.Batch = ""
	x.schedule.Alone(it.Seq)
}
