package courier

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// maxPayloads limits the stored payloads. It is not known how long factro keeps them.
const maxPayloads = 10000

// maxLogged is how many attempts the log keeps.
const maxLogged = 1000

// Config describes the tenant of a courier.
type Config struct {
	Now       func() time.Time
	MandantID string
	Owner     string // the user who registered the webhooks
}

// Courier stores events and delivers them: for each webhook in order, one at a time. A webhook has a goroutine only while it has
// something to deliver.
type Courier struct {
	client   *http.Client
	log      *slog.Logger
	random   *Random
	now      func() time.Time
	mandant  string
	owner    string // the user who registered the webhooks
	Attempts *Ring[Attempt]

	// Deliveries live longer than the requests that caused them, so they have their own context. Close ends it.
	ctx    context.Context //nolint:containedctx // see above
	cancel context.CancelFunc

	mu       sync.Mutex
	delivery Delivery
	hooks    []*Hook
	payloads []*payload
	busy     int           // webhooks that are delivering
	idle     chan struct{} // closed when busy becomes 0
	closed   bool
	journal  Journal // nil keeps nothing
}

// Hook is one registered webhook and its queue.
type Hook struct {
	Webhook
	ID        string
	createdAt time.Time
	queue     []*payload
	working   bool
	arrived   chan struct{} // gets a token when something is queued
}

func (h *Hook) wants(action string) bool { return h.Action == action || h.Action == "*" }

// New makes a courier without webhooks.
func New(cfg Config, random *Random, log *slog.Logger) *Courier {
	ctx, cancel := context.WithCancel(context.Background())
	return &Courier{
		client: &http.Client{
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 30 * time.Second},
			// It is not known whether factro follows redirects, so a redirect counts as any other answer.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		log: log, random: random, now: cfg.Now, mandant: cfg.MandantID, owner: cfg.Owner, Attempts: NewRing[Attempt](maxLogged),
		ctx: ctx, cancel: cancel,
	}
}

// Reset removes everything and registers these webhooks.
func (c *Courier) Reset(d Delivery, hooks []Webhook) {
	c.mu.Lock()
	c.delivery, c.payloads = d, nil
	for _, h := range c.hooks {
		h.queue = nil
	}
	c.hooks = nil
	c.mu.Unlock()
	c.Attempts.Clear()
	for _, h := range hooks {
		c.Register(h)
	}
}

// SetDelivery changes the delivery settings, starting with the next delivery.
func (c *Courier) SetDelivery(d Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery = d
}

// Register adds a webhook.
func (c *Courier) Register(h Webhook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, &Hook{Webhook: h, ID: c.random.ID(), createdAt: c.now(), arrived: make(chan struct{}, 1)})
}

// Unregister removes all webhooks and their queues. Stored payloads stay.
func (c *Courier) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hooks {
		h.queue = nil
	}
	c.hooks = nil
}

// Registered returns the registered webhooks.
func (c *Courier) Registered() []*Hook {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hooks)
}

// Fire stores events for the webhooks with that action, and queues them. It neither sends nor waits.
func (c *Courier) Fire(events []tenant.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		for _, h := range c.hooks {
			if h.wants(e.Action) {
				c.enqueue(h, e)
			}
		}
	}
}

func (c *Courier) enqueue(h *Hook, e tenant.Event) {
	p := &payload{id: c.random.ID(), hook: h, event: e, createdAt: c.now(), fired: time.Now(), status: statusPending}
	p.storedAtOnce = c.delivery.StoredLate > 0 && !c.random.Happens(c.delivery.StoredLate)
	c.payloads = append(c.payloads, p)
	if over := len(c.payloads) - maxPayloads; over > 0 {
		c.payloads = slices.Delete(c.payloads, 0, over)
	}
	lost := c.random.Happens(c.delivery.Loss)
	c.writeJournal(func(j Journal) error {
		return j.Payload(PayloadLine{p.id, h.ID, h.Webhook, e.Action, e.EntityID, p.createdAt, lost})
	})
	if lost {
		p.status = statusFailed
		c.Attempts.Add(p.attempt(c.now(), func(a *Attempt) { a.Lost = true }))
		return
	}
	c.queue(h, p)
}

// SetJournal makes the courier record in a journal what it stores from now on.
func (c *Courier) SetJournal(j Journal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.journal = j
}

// writeJournal writes a line into the journal. An error does not undo the change, as it would not at factro.
func (c *Courier) writeJournal(write func(Journal) error) {
	if c.journal == nil {
		return
	}
	if err := write(c.journal); err != nil {
		c.log.ErrorContext(c.ctx, "payload is not kept", "error", err)
	}
}

// Restore restores a payload from the journal, with the end of its delivery if there is one. It belongs to the webhook that is
// registered with the same settings as then.
func (c *Courier) Restore(l PayloadLine, end *SettledLine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.hooks, func(h *Hook) bool { return h.Webhook == l.Hook })
	h := &Hook{Webhook: l.Hook, ID: l.HookID, createdAt: l.CreatedAt}
	if at >= 0 {
		h = c.hooks[at]
		h.ID = l.HookID
	}
	p := &payload{id: l.ID, hook: h, event: tenant.Event{Action: l.Action, EntityID: l.Entity}, createdAt: l.CreatedAt, fired: time.Now(), status: statusPending}
	c.payloads = append(c.payloads, p)
	switch {
	case l.Lost:
		p.status = statusFailed
	case end != nil:
		p.status, p.attempts = end.Status, end.Attempts
	case at >= 0:
		h.queue = append(h.queue, p)
	}
}

// queue adds a payload to the queue of a webhook.
func (c *Courier) queue(h *Hook, p *payload) {
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

// start starts the deliveries of a webhook if something is queued and they are not running.
func (c *Courier) start(h *Hook) {
	if h.working || len(h.queue) == 0 {
		return
	}
	h.working = true
	if c.busy++; c.busy == 1 {
		c.idle = make(chan struct{})
	}
	go c.work(h)
}

// Resume starts the deliveries that were restored from the journal.
func (c *Courier) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hooks {
		c.start(h)
	}
}

// work delivers until the queue is empty.
func (c *Courier) work(h *Hook) {
	for {
		p, d := c.next(h)
		if p == nil {
			return
		}
		if !p.swapped && c.random.Happens(d.Reorder) {
			p.swapped = true
			if c.swapWithNext(h, p) {
				continue
			}
		}
		c.deliver(p, d)
	}
}

// next takes the next payload from the queue. If there is none, the worker ends. Both happen under one lock, so that no payload is
// queued in between and never delivered.
func (c *Courier) next(h *Hook) (*payload, Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(h.queue) == 0 || c.ctx.Err() != nil {
		h.queue, h.working = nil, false
		if c.busy--; c.busy == 0 {
			close(c.idle)
		}
		return nil, Delivery{}
	}
	p := h.queue[0]
	h.queue = slices.Delete(h.queue, 0, 1)
	return p, c.delivery
}

// reorderTimeout is how long a delivery waits for another one to swap with.
const reorderTimeout = 500 * time.Millisecond

// swapWithNext puts a payload behind the next one of its webhook. It waits a short time for the next one, and reports whether it came.
func (c *Courier) swapWithNext(h *Hook, p *payload) bool {
	timer := time.NewTimer(reorderTimeout)
	defer timer.Stop()
	for {
		c.mu.Lock()
		if len(h.queue) > 0 {
			h.queue[0].swapped = true // otherwise the two would swap for ever
			h.queue = slices.Insert(h.queue, 1, p)
			c.mu.Unlock()
			return true
		}
		c.mu.Unlock()
		select {
		case <-h.arrived:
		case <-timer.C:
			return false
		case <-c.ctx.Done():
			return false
		}
	}
}
