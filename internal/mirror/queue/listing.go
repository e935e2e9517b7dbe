package queue

// Listing is a list that is being read. Objects that are read by themselves meanwhile are left out: nobody can tell which of the two
// readings is newer.
type Listing struct {
	queue   *Queue
	overlap map[Object]bool
}

// List begins a listing. End ends it.
func (q *Queue) List() *Listing {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &Listing{queue: q, overlap: map[Object]bool{}}
	for o, i := range q.items {
		if i.reading {
			l.overlap[o] = true
		}
	}
	q.listings[l] = true
	return l
}

// End ends a listing.
func (l *Listing) End() {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	delete(l.queue.listings, l)
}

// Hold takes an object for the listing, as [Queue.Hold] does, unless it was read by itself meanwhile or is going to be.
func (l *Listing) Hold(o Object) bool {
	l.queue.mu.Lock()
	overlaps := l.overlap[o]
	l.queue.mu.Unlock()
	return !overlaps && l.queue.Hold(o)
}
