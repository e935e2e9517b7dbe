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

// maxPayloads bounds the stored payloads. How long factro keeps them is not known.
const maxPayloads = 10000

// maxLogged is how many attempts are remembered.
const maxLogged = 1000

// Config says for which tenant it delivers.
type Config struct {
	Now       func() time.Time
	MandantID string
	Owner     string // who has registered the webhooks
}

// Courier stores what happens and delivers it: for each webhook in order, one at a time. A webhook has a goroutine only
// while it has something to deliver.
type Courier struct {
	client   *http.Client
	log      *slog.Logger
	dice     *Dice
	now      func() time.Time
	mandant  string
	owner    string // who has registered the webhooks
	Attempts *Ring[Attempt]

	// Deliveries outlive the requests that caused them, so they have a context of their own, which close ends.
	ctx    context.Context //nolint:containedctx // see above
	cutOff context.CancelFunc

	mu       sync.Mutex
	delivery Delivery
	hooks    []*Hook
	payloads []*payload
	busy     int           // webhooks that are delivering
	quiet    chan struct{} // closed when busy becomes 0
	closed   bool
	journal  Journal // nil keeps nothing
}

// Hook is one registered webhook and what waits for it.
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
func New(cfg Config, dice *Dice, log *slog.Logger) *Courier {
	ctx, cancel := context.WithCancel(context.Background())
	return &Courier{
		client: &http.Client{
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 30 * time.Second},
			// A redirect is an answer like any other: whether factro follows one is not known.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		log: log, dice: dice, now: cfg.Now, mandant: cfg.MandantID, owner: cfg.Owner, Attempts: NewRing[Attempt](maxLogged),
		ctx: ctx, cutOff: cancel,
	}
}

// Reset forgets everything and registers these webhooks.
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

// SetDelivery changes how is delivered, from the next delivery on.
func (c *Courier) SetDelivery(d Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery = d
}

// Register adds a webhook.
func (c *Courier) Register(h Webhook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, &Hook{Webhook: h, ID: c.dice.ID(), createdAt: c.now(), arrived: make(chan struct{}, 1)})
}

// Unregister forgets all webhooks and what waits for them. Stored payloads stay.
func (c *Courier) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hooks {
		h.queue = nil
	}
	c.hooks = nil
}

// Registered are the webhooks that there are.
func (c *Courier) Registered() []*Hook {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hooks)
}

// Fire stores events for the webhooks that want them, and queues them. It neither sends nor waits.
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
	p := &payload{id: c.dice.ID(), hook: h, event: e, createdAt: c.now(), fired: time.Now(), status: statusPending}
	p.prompt = c.delivery.StoredLate > 0 && !c.dice.Hits(c.delivery.StoredLate)
	c.payloads = append(c.payloads, p)
	if over := len(c.payloads) - maxPayloads; over > 0 {
		c.payloads = slices.Delete(c.payloads, 0, over)
	}
	lost := c.dice.Hits(c.delivery.Loss)
	c.keepLine(func(j Journal) error {
		return j.Payload(PayloadLine{p.id, h.ID, h.Webhook, e.Action, e.EntityID, p.createdAt, lost})
	})
	if lost {
		p.status = statusFailed
		c.Attempts.Add(p.attempt(c.now(), func(a *Attempt) { a.Lost = true }))
		return
	}
	c.queue(h, p)
}

// Keep has the courier write down from now on what it stores.
func (c *Courier) Keep(j Journal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.journal = j
}

// keepLine writes a line into the journal. factro would not undo a change because its log is full, so neither do we.
func (c *Courier) keepLine(write func(Journal) error) {
	if c.journal == nil {
		return
	}
	if err := write(c.journal); err != nil {
		c.log.ErrorContext(c.ctx, "payload is not kept", "error", err)
	}
}

// Restore takes back a payload from the journal, and how its delivery ended if it has, for the webhook that is registered now as it was then.
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

// queue has a payload delivered.
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

// start begins to deliver what waits for a webhook, if that has not begun yet.
func (c *Courier) start(h *Hook) {
	if h.working || len(h.queue) == 0 {
		return
	}
	h.working = true
	if c.busy++; c.busy == 1 {
		c.quiet = make(chan struct{})
	}
	go c.work(h)
}

// Resume delivers what waited when the journal was written.
func (c *Courier) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hooks {
		c.start(h)
	}
}

// work delivers until nothing waits.
func (c *Courier) work(h *Hook) {
	for {
		p, d := c.next(h)
		if p == nil {
			return
		}
		if !p.held && c.dice.Hits(d.Reorder) {
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
func (c *Courier) next(h *Hook) (*payload, Delivery) {
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
func (c *Courier) letPass(h *Hook, p *payload) bool {
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
