package egress

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/egress/batch"
	"github.com/factro-bridge/factro-bridge/internal/egress/crash"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// BatchKey is what commands have in common that one call can carry out. See commands.Batcher.
func (w *Worker) BatchKey(cmd events.Command) string {
	if !w.batches.On() {
		return ""
	}
	return batch.Key(cmd)
}

// BatchLimit is how many commands with a key may go with one call now.
func (w *Worker) BatchLimit(key string) int { return w.batches.Limit(key) }

// Together returns what handles so many commands of one key. Each goes its own way through the states, with its own record in the
// ledger. They share a request of the budget and a call. A command that has to do anything else leaves the others, and is carried out
// alone.
func (w *Worker) Together(n int) []commands.Member {
	all, slot := make([]commands.Member, n), &atomic.Bool{}
	for i, place := range batch.Places[*part](n) {
		all[i] = member{w, &company{place, slot}}
	}
	return all
}

type member struct {
	*Worker
	company *company
}

func (m member) Handle(delivery, stopping context.Context, cmd events.Command, mistake error) error {
	return m.handle(delivery, stopping, cmd, mistake, m.company)
}

func (m member) Leave() { m.leave(m.company) }

// company is the place of a command among those that are carried out together with it.
type company struct {
	*batch.Place[*part]
	slot *atomic.Bool // they have a request of the budget that is not used
}

// part is a command at a call, alone or together with others.
type part struct {
	*job
	batch.Command
	ctx  context.Context //nolint:containedctx // each command has its own trace and lease
	call translate.Call
	err  error // why no call was made
}

func (w *Worker) leave(c *company) {
	if c.Leave() && c.slot.Swap(false) {
		w.api.Forgo()
	}
}

// awaitShared waits until factro may be called for a command. Of several that are carried out together one waits.
func (w *Worker) awaitShared(ctx context.Context, j *job) error {
	p := &part{job: j, ctx: ctx}
	if j.company == nil {
		return w.awaitSlot(ctx, p)
	}
	return j.company.Meet(ctx, p, func(all []*part) error {
		err := w.awaitSlot(ctx, all...)
		j.company.slot.Store(err == nil)
		return err
	})
}

// exchange makes the call of a command, or that of several. An error says that the bridge stops, and that the call may have been made.
func (w *Worker) exchange(p *part) error {
	if p.company == nil {
		w.callFor([]*part{p})
		return nil
	}
	return p.company.Meet(p.ctx, p, func(all []*part) error {
		p.company.slot.Store(false)
		w.callFor(all)
		return nil
	})
}

func (w *Worker) callFor(all []*part) {
	first := all[0]
	may := func() error { return commands.MayCall(first.ctx) }
	if err := may(); err != nil {
		w.api.Forgo()
		for _, p := range all {
			p.err = err
		}
		return
	}
	crash.Point("before-call")
	if len(all) == 1 {
		first.Answer, first.Judgement = w.api.Exchange(first.ctx, coreapi.Attempt{Op: first.op, Number: first.attempts + 1, File: first.file, May: may}, first.call, w.api.Key())
		w.batches.Called()
	} else {
		together := make([]*batch.Command, len(all))
		for i, p := range all {
			p.Op, p.Data, p.Span = p.op, p.data, trace.SpanFromContext(p.ctx)
			together[i] = &p.Command
		}
		w.batches.Exchange(first.ctx, coreapi.Attempt{Number: first.attempts + 1, May: may}, together)
		w.claimOwn(all)
	}
	crash.Point("after-call")
}

// claimOwn makes sure that the search for what one create has made does not find what another one of the same call has made.
func (w *Worker) claimOwn(all []*part) {
	open := func(p *part) bool { return p.Judgement == coreapi.Unknown }
	if !all[0].op.Creates() || !slices.ContainsFunc(all, open) {
		return
	}
	for _, p := range all {
		if open(p) || p.Alone != nil {
			continue
		}
		for _, id := range translate.MadeIDs(p.op, p.Answer.Body) {
			if mine, err := w.claim(p.ctx, p.job, id); err != nil || !mine {
				p.Judgement = coreapi.Unknown
			}
		}
	}
}

// part returns a command that has to be carried out alone. Nothing was carried out for it.
func (w *Worker) part(ctx context.Context, p *part) finding {
	if p.Answer.Status != 0 {
		p.calls++
		p.logAttempt(ctx, p.Judgement, p.Answer)
	}
	if err := w.recordNoEffect(ctx, p.job); err != nil {
		return p.fail(err)
	}
	p.verdict = commands.AloneAfter(p.Alone, 0)
	return parted
}

var errParted = errors.New("the outcome is not known, or the call has to be repeated: the command goes on alone")

// keepCompany has a command leave the others when it goes on without them. If it has to wait, or to search, it comes again alone.
func (w *Worker) keepCompany(j *job, next state) state {
	if j.company == nil || slices.Contains([]state{planning, checking, waiting, beginning, opening, calling}, next) {
		return next
	}
	w.leave(j.company)
	j.company = nil
	if next >= concluding {
		return next
	}
	var wait time.Duration
	switch next { //nolint:exhaustive // the others go on at once
	case searching: // when the call cannot be running any more
		wait = time.Until(j.record.CalledAt.Add(w.api.Timeout() + searchPause))
	case pausing:
		wait = delivery.Backoff(j.attempts)
	}
	j.verdict = commands.AloneAfter(errParted, max(wait, 0))
	return settled
}
