package bus

import (
	"strings"
	"sync"
)

// lane is the spool of one cloud.
type lane struct {
	cloud, subject string
	drain          drain
	begun          bool // guarded by the spool's lock

	mu      sync.Mutex
	waiting int64 // on the disk or being written to it; while there are any, webhooks do not go to the broker directly
	wake    chan struct{}
}

func (s *Spool) lane(cloud string) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[cloud]
	if l == nil {
		l = &lane{cloud: cloud, subject: "spool." + cloud, wake: make(chan struct{}, 1)}
		s.lanes[cloud] = l
		select {
		case s.begin <- struct{}{}:
		default: // Run is going to look anyway
		}
	}
	return l
}

func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting == 0
}

// left is how many messages wait.
func (l *lane) left() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

// many says whether more than one message waits.
func (l *lane) many() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting > 1
}

func (l *lane) add(n int64) {
	l.mu.Lock()
	l.waiting += n
	l.mu.Unlock()
	if n > 0 {
		l.rouse()
	}
}

// rouse has the drain look.
func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default: // it is going to anyway
	}
}

// token returns the nth token of a subject, "" if there is none.
func token(subject string, n int) string {
	tokens := strings.SplitN(subject, ".", n+2)
	if n >= len(tokens) {
		return ""
	}
	return tokens[n]
}

// entity is what events keep their order of: their subject without the action. If the entity's name can be no token it is
// the event's own subject, beside the cloud; an event of which nobody knows whom it is about has no order.
func entity(subject, about string) string {
	dot := strings.LastIndexByte(subject, '.')
	switch {
	case dot < 0:
		return ""
	case !strings.HasSuffix(subject[:dot], "._"):
		return subject[:dot]
	case about == "":
		return ""
	}
	return token(subject, 2) + " " + about
}
