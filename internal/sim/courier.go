package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// maxPayloads bounds the stored payloads. How long factro keeps them is not known.
const maxPayloads = 10000

// courier stores what happens and delivers it: for each webhook in order, one at a time. A webhook has a goroutine only
// while it has something to deliver.
type courier struct {
	client   *http.Client
	log      *slog.Logger
	dice     *dice
	now      func() time.Time
	mandant  string
	attempts *ring[Attempt]

	// Deliveries outlive the requests that caused them, so they have a context of their own, which close ends.
	ctx    context.Context //nolint:containedctx // see above
	cutOff context.CancelFunc

	mu       sync.Mutex
	delivery Delivery
	hooks    []*hook
	payloads []*payload
	busy     int           // webhooks that are delivering
	quiet    chan struct{} // closed when busy becomes 0
	closed   bool
	journal  *journal
}

// hook is one registered webhook and what waits for it.
type hook struct {
	Webhook
	id        string
	createdAt time.Time
	queue     []*payload
	working   bool
	arrived   chan struct{} // gets a token when something is queued
}

func (h *hook) wants(action string) bool { return h.Action == action || h.Action == "*" }

func newCourier(cfg Config, dice *dice, log *slog.Logger) *courier {
	ctx, cancel := context.WithCancel(context.Background())
	return &courier{
		client: &http.Client{
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 30 * time.Second},
			// A redirect is an answer like any other: whether factro follows one is not known.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		log: log, dice: dice, now: cfg.Now, mandant: cfg.MandantID, attempts: newRing[Attempt](maxLogged),
		ctx: ctx, cutOff: cancel,
	}
}

func (c *courier) reset(d Delivery, hooks []Webhook) {
	c.mu.Lock()
	c.delivery, c.payloads = d, nil
	for _, h := range c.hooks {
		h.queue = nil
	}
	c.hooks = nil
	c.mu.Unlock()
	c.attempts.clear()
	for _, h := range hooks {
		c.register(h)
	}
}

func (c *courier) setDelivery(d Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery = d
}

func (c *courier) register(h Webhook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, &hook{Webhook: h, id: c.dice.id(), createdAt: c.now(), arrived: make(chan struct{}, 1)})
}

// unregister forgets all webhooks and what waits for them. Stored payloads stay.
func (c *courier) unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hooks {
		h.queue = nil
	}
	c.hooks = nil
}

func (c *courier) registered() []*hook {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hooks)
}

// fire stores events for the webhooks that want them, and queues them. It neither sends nor waits.
func (c *courier) fire(events []event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		for _, h := range c.hooks {
			if h.wants(e.action) {
				c.enqueue(h, e)
			}
		}
	}
}

func (c *courier) enqueue(h *hook, e event) {
	p := &payload{id: c.dice.id(), hook: h, event: e, createdAt: c.now(), fired: time.Now(), status: statusPending}
	p.prompt = c.delivery.StoredLate > 0 && !c.dice.hits(c.delivery.StoredLate)
	c.payloads = append(c.payloads, p)
	if over := len(c.payloads) - maxPayloads; over > 0 {
		c.payloads = slices.Delete(c.payloads, 0, over)
	}
	lost := c.dice.hits(c.delivery.Loss)
	c.keepLine(line{Payload: &payloadLine{p.id, h.id, h.Webhook, e.action, e.entity, p.createdAt, lost}})
	if lost {
		p.status = statusFailed
		c.attempts.add(p.attempt(c.now(), func(a *Attempt) { a.Lost = true }))
		return
	}
	c.queue(h, p)
}

// keep has the courier write down from now on what it stores.
func (c *courier) keep(j *journal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.journal = j
}

// keepLine writes a line into the journal. factro would not undo a change because its log is full, so neither do we.
func (c *courier) keepLine(l line) {
	if err := c.journal.write(l); err != nil {
		c.log.ErrorContext(c.ctx, "payload is not kept", "error", err)
	}
}

// restore takes back a payload from the journal, for the webhook that is registered now as it was then.
func (c *courier) restore(l payloadLine, end settledLine, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.hooks, func(h *hook) bool { return h.Webhook == l.Hook })
	h := &hook{Webhook: l.Hook, id: l.HookID, createdAt: l.CreatedAt}
	if at >= 0 {
		h = c.hooks[at]
		h.id = l.HookID
	}
	p := &payload{id: l.ID, hook: h, event: event{l.Action, l.Entity}, createdAt: l.CreatedAt, fired: time.Now(), status: statusPending}
	c.payloads = append(c.payloads, p)
	if over {
		p.status, p.attempts = end.Status, end.Attempts
	} else if at >= 0 {
		h.queue = append(h.queue, p)
	}
}

// queue has a payload delivered.
func (c *courier) queue(h *hook, p *payload) {
	if c.closed {
		return
	}
	h.queue = append(h.queue, p)
	select {
	case h.arrived <- struct{}{}:
	default: // one token is enough
	}
	c.start(h)
}

// start has what waits for a webhook delivered, if nobody does it yet.
func (c *courier) start(h *hook) {
	if h.working || len(h.queue) == 0 {
		return
	}
	h.working = true
	if c.busy++; c.busy == 1 {
		c.quiet = make(chan struct{})
	}
	go c.work(h)
}

// resume delivers what waited when the journal was written.
func (c *courier) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hooks {
		c.start(h)
	}
}

// work delivers until nothing waits.
func (c *courier) work(h *hook) {
	for {
		p, d := c.next(h)
		if p == nil {
			return
		}
		if !p.held && c.dice.hits(d.Reorder) {
			p.held = true
			if c.letPass(h, p) {
				continue
			}
		}
		c.deliver(p, d)
	}
}

// next takes the next payload from the queue. If there is none, the worker is done; both is decided under one lock, so
// that nothing is queued in between and forgotten.
func (c *courier) next(h *hook) (*payload, Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(h.queue) == 0 || c.ctx.Err() != nil {
		h.queue, h.working = nil, false
		if c.busy--; c.busy == 0 {
			close(c.quiet)
		}
		return nil, Delivery{}
	}
	p := h.queue[0]
	h.queue = slices.Delete(h.queue, 0, 1)
	return p, c.delivery
}

// reorderPatience is how long a delivery waits for another one to let go first.
const reorderPatience = 500 * time.Millisecond

// letPass puts a payload behind the next one of its webhook, for which it waits a little. It reports whether one came.
func (c *courier) letPass(h *hook, p *payload) bool {
	patience := time.NewTimer(reorderPatience)
	defer patience.Stop()
	for {
		c.mu.Lock()
		if len(h.queue) > 0 {
			h.queue[0].held = true // or the two would let each other pass for ever
			h.queue = slices.Insert(h.queue, 1, p)
			c.mu.Unlock()
			return true
		}
		c.mu.Unlock()
		select {
		case <-h.arrived:
		case <-patience.C:
			return false
		case <-c.ctx.Done():
			return false
		}
	}
}

// idle waits until nothing is under way.
func (c *courier) idle(ctx context.Context) error {
	for {
		c.mu.Lock()
		busy, quiet := c.busy, c.quiet
		c.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return fmt.Errorf("%s still %s deliveries: %w", plural.Of(busy, "webhook"), plural.Choose(busy, "has", "have"), ctx.Err())
		}
	}
}

// close takes no further deliveries, waits for the ones under way, and cuts them off when ctx ends.
func (c *courier) close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.idle(ctx)
	c.cutOff()
	if err != nil {
		_ = c.idle(context.WithoutCancel(ctx)) // ends at once, now that their context has
	}
	c.client.CloseIdleConnections()
	return err
}
