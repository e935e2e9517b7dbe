package spool

import (
	"strings"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
)

// cloudQueue is what waits of one cloud, in the order of its arrival.
type cloudQueue struct {
	cloud    string
	drain    drain
	draining bool // whether it has a drain; guarded by the spool's lock

	mu      sync.Mutex
	waiting int64         // on the disk or being written to it; while there are any, webhooks do not go to the broker directly
	wake    chan struct{} // has a token when the drain should look
}

// cloudOf is the cloud of a subject on the disk.
func cloudOf(subject string) string { return strings.TrimPrefix(subject, disk.Subject("")) }

// queue returns the queue of a cloud.
func (s *Spool) queue(cloud string) *cloudQueue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[cloud]
	if q == nil {
		q = &cloudQueue{cloud: cloud, wake: make(chan struct{}, 1)}
		s.queues[cloud] = q
		select {
		case s.begin <- struct{}{}:
		default: // Run is going to look anyway
		}
	}
	return q
}

// all returns the queues of all clouds that had any webhook.
func (s *Spool) all() []*cloudQueue {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*cloudQueue
	for _, q := range s.queues {
		all = append(all, q)
	}
	return all
}

// undrained returns the queues that have no drain, and from now on have one.
func (s *Spool) undrained() []*cloudQueue {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*cloudQueue
	for _, q := range s.queues {
		if !q.draining {
			q.draining = true
			out = append(out, q)
		}
	}
	return out
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
