package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func task(id any) queue.Object { return queue.Object{Resource: "task", ID: fmt.Sprint(id)} }

func add(t *testing.T, q *queue.Queue, o queue.Object, sequence uint64, due int) {
	t.Helper()
	if err := q.Add(t.Context(), o, queue.Cause{ID: fmt.Sprint("e-", sequence), Sequence: sequence, At: start}, at(due)); err != nil {
		t.Fatal(err)
	}
}

// TestOneReading: events of one object that come before its reading are one reading.
func TestOneReading(t *testing.T) {
	t.Parallel()
	q := queue.New(100, 0)
	for n := range uint64(10) {
		add(t, q, task(1), n+1, 1+int(n))
	}
	if _, ok := q.Next(at(0)); ok {
		t.Error("it is read before its time")
	}
	w, ok := q.Next(at(1))
	if !ok || len(w.Causes) != 10 || w.Object != task(1) {
		t.Errorf("got %+v, %t", w, ok)
	}
	if got := q.Covered(); got != 0 {
		t.Errorf("covered up to %d before the reading ended", got)
	}
	q.Done(task(1))
	if _, ok := q.Next(at(100)); ok || q.Covered() != 10 {
		t.Errorf("covered up to %d, again %t", q.Covered(), ok)
	}
}

// TestEventWhileReading: a reading that began before an event is not enough for it.
func TestEventWhileReading(t *testing.T) {
	t.Parallel()
	q := queue.New(100, 0)
	add(t, q, task(1), 1, 0)
	add(t, q, task(2), 2, 0)
	if w, _ := q.Next(at(0)); w.Object != task(1) && w.Object != task(2) {
		t.Fatal(w)
	}
	if w, _ := q.Next(at(0)); w.Object != task(1) && w.Object != task(2) {
		t.Fatal(w)
	}
	add(t, q, task(1), 3, 5)
	if _, ok := q.Next(at(5)); ok {
		t.Error("an object is read twice at the same time")
	}
	q.Done(task(2))
	if got := q.Covered(); got != 0 {
		t.Errorf("covered up to %d", got)
	}
	q.Done(task(1))
	if got := q.Covered(); got != 2 {
		t.Errorf("covered up to %d, want 2", got)
	}
	if _, ok := q.Next(at(4)); ok {
		t.Error("it is read before its time")
	}
	if w, ok := q.Next(at(5)); !ok || len(w.Causes) != 1 || w.Causes[0].ID != "e-3" {
		t.Errorf("got %+v, %t", w, ok)
	}
	q.Done(task(1))
	if got := q.Covered(); got != 3 {
		t.Errorf("covered up to %d, want 3", got)
	}
}

// TestFailed: what failed is read again, with all its events.
func TestFailed(t *testing.T) {
	t.Parallel()
	q := queue.New(100, 0)
	add(t, q, task(1), 1, 0)
	q.Next(at(0))
	add(t, q, task(1), 2, 1)
	q.Failed(task(1), at(10))
	if _, ok := q.Next(at(9)); ok {
		t.Error("it is read before its time")
	}
	w, ok := q.Next(at(10))
	if !ok || len(w.Causes) != 2 || w.Failures != 1 {
		t.Errorf("got %+v, %t", w, ok)
	}
	q.Done(task(1))
	add(t, q, task(1), 2, 0) // again
	if _, ok := q.Next(at(100)); ok || q.Covered() != 2 {
		t.Errorf("covered up to %d, again %t", q.Covered(), ok)
	}
}

// TestFull: a full queue takes no more events until something is covered.
func TestFull(t *testing.T) {
	t.Parallel()
	q := queue.New(2, 0)
	add(t, q, task(1), 1, 0)
	add(t, q, task(2), 2, 0)
	ended, stop := context.WithCancel(t.Context())
	stop()
	if err := q.Add(ended, task(3), queue.Cause{Sequence: 3}, at(0)); err == nil {
		t.Error("a full queue takes one more")
	}
	added := make(chan error)
	go func() { added <- q.Add(t.Context(), task(3), queue.Cause{Sequence: 3}, at(0)) }()
	w, _ := q.Next(at(0))
	q.Done(w.Object)
	if err := <-added; err != nil {
		t.Error(err)
	}
}

// TestListing: what is read by itself while a list is read is left out.
func TestListing(t *testing.T) {
	t.Parallel()
	q := queue.New(100, 0)
	add(t, q, task("reading"), 1, 0)
	q.Next(at(0))
	l := q.List()
	add(t, q, task("read meanwhile"), 2, 0)
	q.Next(at(0))
	q.Done(task("read meanwhile"))
	q.Done(task("reading"))
	add(t, q, task("waits"), 3, 100)
	for o, want := range map[queue.Object]bool{task("reading"): false, task("read meanwhile"): false, task("waits"): false, task("other"): true} {
		if got := l.Hold(o); got != want {
			t.Errorf("%s: got %t", o.ID, got)
		}
	}
	add(t, q, task("other"), 4, 0)
	if _, ok := q.Next(at(0)); ok {
		t.Error("what is held is read")
	}
	q.Done(task("other"))
	if w, ok := q.Next(at(0)); !ok || w.Object != task("other") {
		t.Errorf("got %+v, %t", w, ok)
	}
	l.End()
}

// TestCovered: the place that is covered never passes an event without a reading that began after it, whatever happens.
func TestCovered(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	q := queue.New(1<<20, 0)
	var reading []queue.Work
	open := map[uint64]bool{}
	sequence := uint64(0)
	for range 20_000 {
		switch random.IntN(3) {
		case 0:
			sequence += 1 + random.Uint64N(3)
			if random.IntN(10) == 0 {
				q.Skip(sequence)
				break
			}
			open[sequence] = true
			add(t, q, task(random.IntN(20)), sequence, 0)
		case 1:
			if w, ok := q.Next(at(0)); ok {
				reading = append(reading, w)
			}
		default:
			if len(reading) == 0 {
				break
			}
			n := random.IntN(len(reading))
			w := reading[n]
			reading = append(reading[:n], reading[n+1:]...)
			if random.IntN(5) == 0 {
				q.Failed(w.Object, at(0))
				break
			}
			q.Done(w.Object)
			for _, c := range w.Causes {
				delete(open, c.Sequence)
			}
		}
		for s := range open {
			if s <= q.Covered() {
				t.Fatalf("covered up to %d, but %d is not", q.Covered(), s)
			}
		}
	}
	for _, w := range reading {
		q.Done(w.Object)
	}
	for w, ok := q.Next(at(0)); ok; w, ok = q.Next(at(0)) {
		q.Done(w.Object)
	}
	if n, _ := q.Backlog(at(0)); q.Covered() != sequence || n != 0 {
		t.Errorf("covered up to %d of %d, %d wait", q.Covered(), sequence, n)
	}
}

// TestWanted: what somebody wants counts until it was read, also if an event wants it as well, but not if that fails again and again.
func TestWanted(t *testing.T) {
	t.Parallel()
	q := queue.New(100, 0)
	add(t, q, task(1), 1, 0)
	q.Want(task(1), at(0))
	q.Want(task(2), at(1))
	if n := q.Wanted(); n != 2 {
		t.Errorf("%d are wanted", n)
	}
	q.Next(at(0))
	if n := q.Wanted(); n != 2 {
		t.Errorf("while one is read %d are wanted", n)
	}
	q.Done(task(1))
	for failures := range 3 {
		if n := q.Wanted(); n != 1 {
			t.Errorf("after %d failures %d are wanted", failures, n)
		}
		q.Next(at(1))
		q.Failed(task(2), at(1))
	}
	if n := q.Wanted(); n != 0 {
		t.Errorf("in the end %d are wanted", n)
	}
	if w, ok := q.Next(at(1)); !ok || w.Object != task(2) {
		t.Errorf("got %+v, %t", w, ok)
	}
}

// TestAgain: a reading that was too early is repeated at its time, or as soon as anything else wants the object.
func TestAgain(t *testing.T) {
	t.Parallel()
	q := queue.New(100, 0)
	add(t, q, task(1), 1, 0)
	q.Next(at(0))
	q.Again(task(1), at(5))
	if _, ok := q.Next(at(4)); ok || q.Covered() != 0 {
		t.Errorf("covered up to %d, read before its time: %t", q.Covered(), ok)
	}
	w, ok := q.Next(at(5))
	if !ok || len(w.Causes) != 1 || !w.Causes[0].Early || w.Failures != 0 {
		t.Errorf("got %+v, %t", w, ok)
	}
	q.Again(task(1), at(10))
	add(t, q, task(1), 2, 7)
	add(t, q, task(1), 3, 12) // it does not put the reading off
	if _, ok := q.Next(at(6)); ok {
		t.Error("it is read before its time")
	}
	if w, ok := q.Next(at(7)); !ok || len(w.Causes) != 3 || !w.Causes[0].Early || w.Causes[1].Early {
		t.Errorf("got %+v, %t", w, ok)
	}
	add(t, q, task(1), 4, 8) // while it is being read
	q.Again(task(1), at(20))
	if w, ok := q.Next(at(8)); !ok || len(w.Causes) != 4 {
		t.Errorf("got %+v, %t", w, ok)
	}
	q.Done(task(1))
	if q.Covered() != 4 {
		t.Errorf("covered up to %d", q.Covered())
	}
}
