package queue

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Object names an object of a cloud.
type Object struct{ Resource, ID string }

// Cause is an event that says that an object may have changed.
type Cause struct {
	// ID is the event's id, Action what it says has happened, Trace where it comes from.
	ID, Action string
	Trace      trace.SpanContext
	// Sequence is its place in the stream of events. It is 0 for an event that led to the change of another object, which touches
	// this one.
	Sequence uint64
	// At is when it came.
	At time.Time
	// Certain is from when on a reading that shows nothing new is believed.
	Certain time.Time
	// Early says that a reading before that has shown nothing new.
	Early bool
}

// Work is an object to read, and why.
type Work struct {
	Object
	// Causes are the events that the reading covers. Without any, somebody else wants to know how the object is.
	Causes []Cause
	// Failures is how many readings of it have failed in a row.
	Failures int
}

// Queue is what one cloud has to read. Its methods may be called by several goroutines at once.
type Queue struct {
	most int

	mu       sync.Mutex
	items    map[Object]*item
	waiting  waiting
	wanted   int // how many items somebody wanted that have not been read yet
	places   places
	listings map[*Listing]bool
	changed  chan struct{} // closed when there is something new
}

type item struct {
	object  Object
	place   int  // among those that wait, -1 if it does not
	counted bool // it is one of those

	causes   []Cause // not covered by a reading that has begun
	covered  []Cause // by the reading that goes on
	early    bool    // all of the causes are: it waits for the time when a reading is believed
	wanted   bool    // also without a cause
	asked    bool    // the reading that goes on is wanted
	due      time.Time
	since    time.Time // when the oldest of the causes came
	reading  bool
	failures int
}

// New returns a queue that holds about so many events at most. The events up to a place are covered.
func New(most int, covered uint64) *Queue {
	return &Queue{
		most: most, items: map[Object]*item{}, places: places{covered: covered, highest: covered}, listings: map[*Listing]bool{}, changed: make(chan struct{}),
	}
}

// Add adds an event about an object, which is to be read at a time. It waits while the queue is full.
func (q *Queue) Add(ctx context.Context, o Object, c Cause, due time.Time) error {
	for {
		q.mu.Lock()
		if c.Sequence == 0 || q.places.open() < q.most {
			break
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer q.mu.Unlock()
	if c.Sequence > 0 && !q.places.add(c.Sequence) {
		return nil // it came again
	}
	i := q.item(o, due, c.At)
	i.causes = append(i.causes, c)
	q.settle(i)
	q.wake()
	return nil
}

// Want has an object be read at a time, without an event.
func (q *Queue) Want(o Object, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.item(o, due, time.Now())
	i.wanted = true
	q.settle(i)
	q.wake()
}

// Skip says that an event at a place concerns no object.
func (q *Queue) Skip(sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.places.add(sequence) {
		q.places.done(sequence)
	}
}

// item returns the item of an object. One that waits keeps its time: an object that changes all the time is read all the same. Only one
// that was read too early is read as soon as anything else wants it.
func (q *Queue) item(o Object, due, since time.Time) *item {
	i := q.items[o]
	if i == nil {
		i = &item{object: o, place: -1}
		q.items[o] = i
	}
	switch {
	case len(i.causes) == 0 && !i.wanted:
		i.due, i.since = due, since
	case i.early && due.Before(i.due):
		i.due = due
	}
	i.early = false
	return i
}

// waits says whether an item waits to be read.
func (i *item) waits() bool { return !i.reading && (len(i.causes) > 0 || i.wanted) }

// settle puts an item that has changed where it belongs: nobody looks at all items to find the next one.
func (q *Queue) settle(i *item) {
	switch waits := i.waits(); {
	case waits && i.place < 0:
		heap.Push(&q.waiting, i)
	case waits:
		heap.Fix(&q.waiting, i.place)
	case i.place >= 0:
		heap.Remove(&q.waiting, i.place)
	}
	counts := (i.wanted || i.asked) && i.failures < mostFailures
	switch {
	case counts && !i.counted:
		q.wanted++
	case !counts && i.counted:
		q.wanted--
	}
	i.counted = counts
}

// Next takes the object to read next. Its reading must end with Done or Failed. ok is false if none is due.
func (q *Queue) Next(now time.Time) (w Work, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.waiting[0].due.After(now) {
		return Work{}, false
	}
	return q.begin(q.waiting[0]), true
}

func (q *Queue) begin(i *item) Work {
	i.reading, i.covered, i.causes, i.asked, i.wanted = true, i.causes, nil, i.wanted, false
	q.settle(i)
	for l := range q.listings {
		l.overlap[i.object] = true
	}
	return Work{Object: i.object, Causes: i.covered, Failures: i.failures}
}

// Waiting are the due objects of a resource that wait, at most so many.
func (q *Queue) Waiting(resource string, now time.Time, most int) (all []Object) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, i := range q.waiting {
		if i.object.Resource == resource && !i.due.After(now) {
			if all = append(all, i.object); len(all) == most {
				break
			}
		}
	}
	return all
}

// Take takes an object that waits, though it may not be its turn.
func (q *Queue) Take(o Object) (w Work, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.items[o]
	if i == nil || !i.waits() {
		return Work{}, false
	}
	return q.begin(i), true
}

// Hold takes an object that does not wait and is not being read, so that nobody reads it until Done.
func (q *Queue) Hold(o Object) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items[o] != nil {
		return false
	}
	q.items[o] = &item{object: o, place: -1, reading: true}
	return true
}

// Done ends a reading: what it covered needs no other one.
func (q *Queue) Done(o Object) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.items[o]
	if i == nil || !i.reading {
		return
	}
	for _, c := range i.covered {
		q.places.done(c.Sequence)
	}
	i.reading, i.asked, i.covered, i.failures = false, false, nil, 0
	q.settle(i)
	if len(i.causes) == 0 && !i.wanted {
		delete(q.items, o)
	}
	q.wake()
}

// Failed ends a reading without success. The object is read again at a time.
func (q *Queue) Failed(o Object, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.items[o]
	if i == nil || !i.reading {
		return
	}
	if len(i.covered) > 0 {
		i.since = i.covered[0].At
	}
	i.wanted = i.wanted || i.asked || len(i.covered)+len(i.causes) == 0
	i.causes, i.covered, i.reading, i.asked, i.due = append(i.covered, i.causes...), nil, false, false, due
	i.failures++
	q.settle(i)
	q.wake()
}

// Again ends a reading that was too early to show anything. The object is read again at a time, or earlier if something else happens.
func (q *Queue) Again(o Object, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.items[o]
	if i == nil || !i.reading {
		return
	}
	for n := range i.covered {
		i.covered[n].Early = true
	}
	if len(i.causes) == 0 && !i.wanted {
		i.due, i.since, i.early = due, i.covered[0].At, true
	}
	i.causes, i.covered, i.reading, i.asked, i.failures = append(i.covered, i.causes...), nil, false, false, 0
	q.settle(i)
	q.wake()
}

// Wake is when the next object is due; false if none waits.
func (q *Queue) Wake() (at time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return at, false
	}
	return q.waiting[0].due, true
}

// Changed is closed when the queue has changed since the call.
func (q *Queue) Changed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changed
}

func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Covered is the place up to which all events are covered by readings that have ended.
func (q *Queue) Covered() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.places.covered
}

// Backlog is how many objects wait or are being read, and how long the oldest has waited.
func (q *Queue) Backlog(now time.Time) (objects int, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, i := range q.items {
		if len(i.causes) == 0 && !i.wanted && len(i.covered) == 0 {
			continue // it is only held
		}
		objects++
		oldest = max(oldest, now.Sub(i.since))
	}
	return objects, oldest
}

// mostFailures is after how many failures nobody waits for an object any more. It is read again all the same.
const mostFailures = 3

// Wanted is how many objects that somebody wanted have not been read yet.
func (q *Queue) Wanted() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wanted
}
