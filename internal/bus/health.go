package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// health is what went wrong and has not worked since. The state of the connection and the looks at the streams do not tell
// all: a publish can be refused, or never be answered, while both are well.
type health struct {
	mu       sync.Mutex
	refused  map[string]refusal   // permissions, by what they are for
	failing  map[string]*failure  // publishes, by destination
	pulling  map[string]error     // why the commands of a cloud cannot be pulled
	hidden   map[string]bool      // streams that we may not look up on this connection
	directly map[string]bool      // streams whose leader we may not ask on this connection
	silent   map[string]time.Time // since when an object store does not answer, by name
	ill      atomic.Bool          // whether failing holds anything; it spares the publishes that work a lock
}

func newHealth() *health {
	return &health{
		refused: map[string]refusal{}, failing: map[string]*failure{}, pulling: map[string]error{}, hidden: map[string]bool{}, directly: map[string]bool{},
		silent: map[string]time.Time{},
	}
}

// failure is a destination to which the last publish failed.
type failure struct {
	cloud   string // empty if it is none that we work for
	err     error
	began   time.Time // when it failed first
	last    time.Time // when it failed last
	times   int       // how often in a row
	past    bool      // whether a look has found all well since
	refused time.Time // since when the broker has answered each publish with a refusal; zero if it was silent, or away
}

// side says whose work needs a destination.
type side int

const (
	webhookSide side = iota
	commandSide
)

// sideOf says whose a destination is: events and dead webhooks are the webhooks', all others the commands' and queries'.
func sideOf(destination string) side {
	if token(destination, 1) == "event" || token(destination, 1) == "dead" && token(destination, 2) == "webhook" {
		return webhookSide
	}
	return commandSide
}

// distrust bounds how long a destination that fails again and again, although each look finds all well, is not believed.
const distrust = 30 * time.Second

// until is how long a look's word does not count. The first time it counts at once: a change of leader is over soon. But a
// look does not see that the store is full, only that a stream is: that ends with a publish that works, or after nobody
// tried for a while.
func (f *failure) until() time.Time {
	switch {
	case isNoRoom(f.err) && !streamFull(f.err):
		return f.last.Add(2 * distrust)
	case f.times == 1:
		return f.last
	}
	return f.last.Add(min(time.Second<<min(f.times-2, 10), distrust))
}

// streamFull says whether a stream has refused a message because of its own limits, which a look sees.
func streamFull(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && refused.ErrorCode == 10077 && strings.HasPrefix(refused.Description, "maximum ")
}

// fails remembers that a publish failed. It says whether that is news, and for how long the broker has refused everything
// that was sent there.
func (h *health) fails(destination, cloud string, err error) (news bool, refusedFor time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.failing[destination]
	if f == nil {
		f = &failure{cloud: cloud, began: time.Now()}
		h.failing[destination] = f
	}
	if news = f.times == 0 || f.past; news {
		f.times++ // many at once are one failure
	}
	f.err, f.last, f.past = err, time.Now(), false
	h.ill.Store(true)
	if !natserr.Answered(err) {
		f.refused = time.Time{}
		return news, 0
	}
	if f.refused.IsZero() {
		f.refused = f.last
	}
	return news, f.last.Sub(f.refused)
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

// silentAfter is how long publishes have to get no answer until that counts as a fault of the server.
const silentAfter = 15 * time.Second

// unanswered is the error of a destination that has answered no publish for silentAfter, since a moment and until lately.
func (h *health) unanswered(since time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for destination, f := range h.failing {
		silent := errors.Is(f.err, context.DeadlineExceeded) || errors.Is(f.err, jetstream.ErrNoStreamResponse)
		if silent && f.last.Sub(later(f.began, since)) >= silentAfter && now.Sub(f.last) < silentAfter {
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

// looksWell is the word of a look that began then: of the clouds without an error it has found all well.
func (h *health) looksWell(began time.Time, errs map[string]error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.failing {
		if errs[f.cloud] == nil && began.After(f.last) && !began.Before(f.until()) {
			f.past = true
		}
	}
	if First(slices.DeleteFunc(slices.Collect(maps.Values(errs)), func(err error) bool { return err == nil })) != nil {
		return
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
	for _, f := range h.failing {
		f.refused = time.Time{}
	}
	clear(h.refused)
	clear(h.hidden)
	clear(h.directly)
	clear(h.silent)
}

func (h *health) hide(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hidden[stream] = true
}

func (h *health) direct(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.directly[stream] = true
}

func (h *health) isDirect(stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.directly[stream]
}

func (h *health) isHidden(stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hidden[stream]
}

// refusal is the first thing to tell of a cloud, or, with an empty name, of what concerns all of them: it is why other
// things fail. The rest is why although the streams are there, work cannot be done.
func (h *health) refusal(cloud string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, r := range h.refused {
		if r.cloud == cloud {
			errs = append(errs, fmt.Errorf("NATS refuses a permission: %w", r.err))
		}
	}
	return First(errs)
}

// trouble is why the work of a side cannot be done for a cloud, or, with an empty name, for none.
func (h *health) trouble(cloud string, of side) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for destination, f := range h.failing {
		if !f.past && f.cloud == cloud && sideOf(destination) == of {
			errs = append(errs, fmt.Errorf("the last publish to %s failed: %w", destination, f.err))
		}
	}
	if err := h.pulling[cloud]; err != nil && of == commandSide {
		errs = append(errs, fmt.Errorf("the commands of %s cannot be pulled: %w", cloud, err))
	}
	return First(errs)
}

// First is one of several errors, the same one each time, and how many more there are.
func First(errs []error) error {
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

// destination is where a message goes, as far as others would meet the same: kind and cloud of its subject.
func destination(subject string) string {
	if token(subject, 1) != "dead" {
		return kind(subject)
	}
	t := strings.SplitN(subject, ".", 5)
	return strings.Join(t[:min(len(t), 4)], ".")
}

// LedgerOf names the ledger of a cloud where publishes have a destination.
func LedgerOf(cloud string) string { return "the ledger of " + cloud }

// cloudIn is the one of our clouds that a destination, or a subject with the name of a stream or bucket in it, is about,
// or "".
func (b *Conn) cloudIn(text string) string {
	found, ofLedger := strings.CutPrefix(text, LedgerOf(""))
	t := strings.Split(text, ".")
	switch {
	case ofLedger:
	case t[0] == string(b.cfg.Prefix) && len(t) > 3 && t[1] == "dead":
		found = t[3]
	case t[0] == string(b.cfg.Prefix) && len(t) > 2:
		found = t[2]
	default:
		for _, name := range t { // KV_FACTRO_LEDGER_ACME
			name = strings.TrimPrefix(strings.TrimPrefix(name, "KV_"), "OBJ_")
			if _, after, ok := strings.Cut(strings.TrimPrefix(name, strings.ToUpper(string(b.cfg.Prefix))+"_"), "_"); ok {
				found = strings.ToLower(after)
				break
			}
		}
	}
	if slices.Contains(b.cfg.Clouds, found) {
		return found
	}
	return ""
}

// Observe records how a publish that began then has ended, if it says something about the next ones. It returns the error, as
// ErrRefusing if the destination has refused everything for too long.
func (b *Conn) Observe(destination string, began time.Time, err error) error {
	switch {
	case err == nil:
		b.health.works(destination)
	case Permanent(err), errors.Is(err, context.Canceled):
		// That is the message's own fault, or its sender has gone away.
	case isDisconnect(err), errors.Is(err, ErrNotConnected), errors.Is(err, ErrClosed):
		// That is the connection's, of which we know.
	case errors.Is(err, context.DeadlineExceeded) && time.Since(began) < AttemptTimeout/4:
		// There was hardly any time.
	default:
		news, refused := b.health.fails(destination, b.cloudIn(destination), err)
		if news {
			b.Recheck()
			if errors.Is(err, natserr.ErrOtherStream) || errors.Is(err, natserr.ErrNoAck) { // nothing else says so in the log
				b.log.Error("messages are not stored; somebody else is on their subject", "destination", destination, "error", err)
			}
		}
		if refused >= b.refusingAfter && refused > 0 {
			return fmt.Errorf("%w for %s: %w", ErrRefusing, refused.Round(time.Second), err)
		}
	}
	return err
}
