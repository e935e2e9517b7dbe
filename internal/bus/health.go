package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// health is what went wrong and has not worked since. The state of the connection and the looks at the streams do not tell
// all: a publish can be refused, or never be answered, while both are well.
type health struct {
	mu      sync.Mutex
	refused map[string]refusal  // permissions, by what they are for
	failing map[string]*failure // publishes, by destination
	pulling map[string]error    // why the commands of a cloud cannot be pulled
	hidden  map[string]bool     // streams that we may not look up on this connection
	ill     atomic.Bool         // whether failing holds anything; it spares the publishes that work a lock
}

func newHealth() *health {
	return &health{
		refused: map[string]refusal{}, failing: map[string]*failure{}, pulling: map[string]error{}, hidden: map[string]bool{},
	}
}

// failure is a destination to which the last publish failed.
type failure struct {
	err   error
	began time.Time // when it failed first
	last  time.Time // when it failed last
	times int       // how often in a row
	past  bool      // whether a look has found all well since
}

// distrust bounds how long a destination that fails again and again, although each look finds all well, is not believed.
const distrust = 30 * time.Second

// until is how long a look's word does not count. The first time it counts at once: a change of leader is over soon.
func (f *failure) until() time.Time {
	if f.times == 1 {
		return f.last
	}
	return f.last.Add(min(time.Second<<min(f.times-2, 10), distrust))
}

// fails remembers that a publish failed and says whether that is news.
func (h *health) fails(destination string, err error) (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.failing[destination]
	if f == nil {
		f = &failure{began: time.Now()}
		h.failing[destination] = f
	}
	if news = f.times == 0 || f.past; news {
		f.times++ // many at once are one failure
	}
	f.err, f.last, f.past = err, time.Now(), false
	h.ill.Store(true)
	return news
}

// works forgets what failed.
func (h *health) works(destination string) {
	if !h.ill.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.failing, destination)
	h.ill.Store(len(h.failing) > 0)
}

// silent is the error of a destination that has answered no publish for mendAfter, since a moment and until lately.
func (h *health) silent(since time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for destination, f := range h.failing {
		unanswered := errors.Is(f.err, context.DeadlineExceeded) || errors.Is(f.err, jetstream.ErrNoStreamResponse)
		if unanswered && f.last.Sub(later(f.began, since)) >= mendAfter && now.Sub(f.last) < mendAfter {
			return fmt.Errorf("%s answers no publish: %w", destination, f.err)
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// looksWell is the word of a look that began then and found all well.
func (h *health) looksWell(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.failing {
		if began.After(f.last) && !began.Before(f.until()) {
			f.past = true
		}
	}
	for what, r := range h.refused {
		if r.subject == "" && began.After(r.at) { // it cannot be asked for
			delete(h.refused, what)
		}
	}
}

// pulls remembers why the commands of a cloud cannot be pulled; nil says that they can, or that nobody wants to.
func (h *health) pulls(cloud string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.pulling, cloud)
	} else {
		h.pulling[cloud] = err
	}
}

// renewed forgets what belonged to the last connection: the server says again what it refuses.
func (h *health) renewed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.refused)
	clear(h.hidden)
}

func (h *health) hide(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hidden[stream] = true
}

func (h *health) isHidden(stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hidden[stream]
}

// refusal is the first thing to tell: it is why other things fail. The rest is why although the streams are there, work
// cannot be done.
func (h *health) refusal() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, r := range h.refused {
		errs = append(errs, fmt.Errorf("NATS refuses a permission: %w", r.err))
	}
	return first(errs)
}

func (h *health) trouble() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for destination, f := range h.failing {
		if !f.past {
			errs = append(errs, fmt.Errorf("the last publish to %s failed: %w", destination, f.err))
		}
	}
	for cloud, err := range h.pulling {
		errs = append(errs, fmt.Errorf("the commands of %s cannot be pulled: %w", cloud, err))
	}
	return first(errs)
}

// first is one of several errors, the same one each time, and how many more there are.
func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	least := errs[0]
	for _, err := range errs[1:] {
		if err.Error() < least.Error() {
			least = err
		}
	}
	if len(errs) == 1 {
		return least
	}
	return fmt.Errorf("%w (and %d more)", least, len(errs)-1)
}

// remember keeps in mind how a publish that began then ended, if others would meet the same.
func (b *Bus) remember(destination string, began time.Time, err error) {
	switch {
	case err == nil:
		b.health.works(destination)
	case isTooLarge(err), errors.Is(err, events.ErrTooLarge), errors.Is(err, context.Canceled):
		// That is the message's own mistake, or its sender has gone away.
	case isDisconnect(err), errors.Is(err, errNotConnected), errors.Is(err, errClosed):
		// That is the connection's, of which we know.
	case errors.Is(err, context.DeadlineExceeded) && time.Since(began) < attemptTimeout/4:
		// There was hardly any time.
	default:
		if b.health.fails(destination, err) {
			b.lookAgain()
		}
	}
}
