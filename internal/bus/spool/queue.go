package spool

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
)

// cloudQueue is what waits of one cloud, in the order of its arrival.
type cloudQueue struct {
	cloud    string
	draining bool // whether it has a drain; guarded by the lock of all queues

	mu      sync.Mutex
	waiting int64         // on the disk or being written to it; while there are any, webhooks do not go to the broker directly
	wake    chan struct{} // has a token when the drain should look
}

// cloudOf is the cloud of a subject on the disk.
func cloudOf(subject string) string { return strings.TrimPrefix(subject, disk.Subject("")) }

// queues are those of all clouds that had any webhook.
type queues struct {
	mu      sync.Mutex
	byCloud map[string]*cloudQueue
	begin   chan struct{} // has a token when a queue has no drain yet
}

func newQueues() *queues {
	return &queues{byCloud: map[string]*cloudQueue{}, begin: make(chan struct{}, 1)}
}

// of returns the queue of a cloud.
func (all *queues) of(cloud string) *cloudQueue {
	all.mu.Lock()
	defer all.mu.Unlock()
	q := all.byCloud[cloud]
	if q == nil {
		q = &cloudQueue{cloud: cloud, wake: make(chan struct{}, 1)}
		all.byCloud[cloud] = q
		select {
		case all.begin <- struct{}{}:
		default: // Run is going to look anyway
		}
	}
	return q
}

// list returns the queues of all clouds that had any webhook.
func (all *queues) list() []*cloudQueue {
	all.mu.Lock()
	defer all.mu.Unlock()
	return slices.Collect(maps.Values(all.byCloud))
}

// undrained returns the queues that have no drain, and from now on have one.
func (all *queues) undrained() []*cloudQueue {
	all.mu.Lock()
	defer all.mu.Unlock()
	var out []*cloudQueue
	for _, q := range all.byCloud {
		if !q.draining {
			q.draining = true
			out = append(out, q)
		}
	}
	return out
}

// waiting is how many messages wait in all of them.
func (all *queues) waiting() int64 {
	var n int64
	for _, q := range all.list() {
		n += q.length()
	}
	return n
}

// length is how many messages wait.
func (q *cloudQueue) length() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

func (q *cloudQueue) empty() bool { return q.length() == 0 }

func (q *cloudQueue) add(n int64) {
	q.mu.Lock()
	q.waiting += n
	q.mu.Unlock()
	if n > 0 {
		q.signal()
	}
}

// restart sets how many messages wait, after the disk was opened.
func (q *cloudQueue) restart(n uint64) {
	q.mu.Lock()
	q.waiting = int64(n) //nolint:gosec // far below the limit of the type
	q.mu.Unlock()
	q.signal()
}

// signal has the drain look.
func (q *cloudQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it is going to anyway
	}
}
