package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// failure is a destination to which the last publish failed.
type failure struct {
	cloud   string // empty if it is none that we work for
	err     error
	began   time.Time // when it failed first
	last    time.Time // when it failed last
	times   int       // how often in a row
	past    bool      // whether a check has found all well since
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
	if topology.SubjectToken(destination, 1) == "event" || topology.SubjectToken(destination, 1) == "dead" && topology.SubjectToken(destination, 2) == "webhook" {
		return webhookSide
	}
	return commandSide
}

// distrust bounds how long a destination that fails again and again, although each check finds all well, is not believed.
const distrust = 30 * time.Second

// until is how long the result of a check does not count. The first time it counts at once: a change of leader is over soon. But a
// check does not see that the store is full, only that a stream is: that ends with a publish that works, or after nobody
// tried for a while.
func (f *failure) until() time.Time {
	switch {
	case natserr.Of(f.err) == natserr.NoRoom && !streamFull(f.err):
		return f.last.Add(2 * distrust)
	case f.times == 1:
		return f.last
	}
	return f.last.Add(min(time.Second<<min(f.times-2, 10), distrust))
}

// streamFull says whether a stream has refused a message because of its own limits, which a check sees.
func streamFull(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && refused.ErrorCode == 10077 && strings.HasPrefix(refused.Description, "maximum ")
}

// fails remembers that a publish failed. It says whether that is news, and for how long the broker has refused everything
// that was sent there.
func (h *Health) fails(destination, cloud string, err error) (news bool, refusedFor time.Duration) {
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
func (h *Health) works(destination string) {
	if !h.ill.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.failing, destination)
	h.ill.Store(len(h.failing) > 0)
}

// ErrRefusing says that the broker answers, and that for a while it has refused all that was sent to a destination. It may
// take it one day. Until then nobody is to wait for it who holds up others.
var ErrRefusing = errors.New("refused again and again")

// silentAfter is how long publishes have to get no answer until that counts as a fault of the server.
const silentAfter = 15 * time.Second

// Unanswered is the error of a destination that has answered no publish for silentAfter, since a moment and until lately.
func (h *Health) Unanswered(since time.Time) error {
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

// foundWell records a check that began then: it has found all well of the clouds without an error.
func (h *Health) foundWell(began time.Time, errs map[string]error) {
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
		if r.Subject == "" && began.After(r.at) { // it cannot be asked for
			delete(h.refused, what)
		}
	}
}

// Destination is where a message goes, as far as others would meet the same: kind and cloud of its subject.
func Destination(subject string) string {
	if topology.SubjectToken(subject, 1) != "dead" {
		return measure.Destination(subject)
	}
	t := strings.SplitN(subject, ".", 5)
	return strings.Join(t[:min(len(t), 4)], ".")
}

// LedgerOf names the ledger of a cloud where publishes have a destination.
func LedgerOf(cloud string) string { return "the ledger of " + cloud }

// cloudIn is the one of our clouds that a destination, or a subject with the name of a stream or bucket in it, is about,
// or "".
func cloudIn(cfg dial.Config, text string) string {
	found, ofLedger := strings.CutPrefix(text, LedgerOf(""))
	t := strings.Split(text, ".")
	switch {
	case ofLedger:
	case t[0] == string(cfg.Prefix) && len(t) > 3 && t[1] == "dead":
		found = t[3]
	case t[0] == string(cfg.Prefix) && len(t) > 2:
		found = t[2]
	default:
		for _, name := range t { // KV_FACTRO_LEDGER_ACME
			name = strings.TrimPrefix(strings.TrimPrefix(name, "KV_"), "OBJ_")
			if _, after, ok := strings.Cut(strings.TrimPrefix(name, strings.ToUpper(string(cfg.Prefix))+"_"), "_"); ok {
				found = strings.ToLower(after)
				break
			}
		}
	}
	if slices.Contains(cfg.Clouds, found) {
		return found
	}
	return ""
}

// Observe records how a publish that began then has ended, if it says something about the next ones. It returns the error, as
// ErrRefusing if the destination has refused everything for too long.
func (h *Health) Observe(destination string, began time.Time, err error) error {
	switch {
	case err == nil:
		h.works(destination)
	case errors.Is(err, events.ErrTooLarge), natserr.Of(err) == natserr.Permanent, errors.Is(err, context.Canceled):
		// That is the message's own fault, or its sender has gone away.
	case natserr.Disconnected(err), errors.Is(err, dial.ErrAway), errors.Is(err, dial.ErrClosed):
		// The connection reports that itself.
	case errors.Is(err, context.DeadlineExceeded) && time.Since(began) < dial.AttemptTimeout/4:
		// There was hardly any time.
	default:
		news, refused := h.fails(destination, cloudIn(h.cfg, destination), err)
		if news {
			h.conn.Recheck()
			if errors.Is(err, natserr.ErrOtherStream) || errors.Is(err, natserr.ErrNoAck) { // nothing else says so in the log
				h.log.Error("messages are not stored; somebody else is on their subject", "destination", destination, "error", err)
			}
		}
		if refused >= h.refusingAfter && refused > 0 {
			return fmt.Errorf("%w for %s: %w", ErrRefusing, refused.Round(time.Second), err)
		}
	}
	return err
}

// Silent notes how a request to a store ended that began then. It says whether the store gives no answer, and has given none
// for as long as destinations have to refuse until that is ErrRefusing.
func (h *Health) Silent(store string, began time.Time, err error) bool {
	silent, quiet := h.silence(store, began, err)
	return silent && quiet >= h.refusingAfter
}

// silence notes how a request to a store ended that began then. It says whether the store was silent, and since how long
// it has been.
func (h *Health) silence(store string, began time.Time, err error) (silent bool, since time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil || natserr.Answered(err) {
		delete(h.silent, store)
		return false, 0
	}
	if h.silent[store].IsZero() {
		h.silent[store] = began
	}
	return true, time.Since(h.silent[store])
}
