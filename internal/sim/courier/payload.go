package courier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// Delivery states of stored payloads. Only "delivered" is public, the others are invented.
const (
	statusDelivered = "delivered"
	statusPending   = "pending"
	statusFailed    = "failed"
)

// payload is one event for one webhook. Its state is guarded by the courier's lock.
type payload struct {
	id        string
	hook      *Hook
	event     tenant.Event
	createdAt time.Time // on the simulator's clock
	fired     time.Time // on the real clock, from which delays count

	swapped      bool // has swapped with another payload
	storedAtOnce bool // is in the list of stored payloads at once
	status       string
	attempts     int
}

func (p *payload) attempt(at time.Time, set func(*Attempt)) Attempt {
	a := Attempt{
		Time: at, WebhookID: p.hook.ID, PayloadID: p.id, URL: p.hook.URL, Action: p.event.Action, EntityID: p.event.EntityID,
	}
	set(&a)
	return a
}

// defaultTimeout limits one attempt.
const defaultTimeout = 10 * time.Second

// deliver sends one payload. It retries after a failure, and may send a duplicate.
func (c *Courier) deliver(p *payload, d Delivery) {
	if !c.pause(time.Until(p.fired.Add(d.Delay))) {
		return
	}
	for try := 0; ; try++ {
		ok := c.send(p, d, false)
		if ok || try >= d.Retries {
			c.finish(p, ok)
			break
		}
		if !c.pause(d.RetryDelay) {
			return
		}
	}
	if p.status == statusDelivered && c.random.Happens(d.Duplicates) {
		c.send(p, d, true)
	}
}

// pause waits, and reports whether the courier is still open.
func (c *Courier) pause(d time.Duration) bool {
	if d <= 0 {
		return c.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

func (c *Courier) finish(p *payload, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.status = statusFailed
	if ok {
		p.status = statusDelivered
	}
	l := SettledLine{p.id, p.status, p.attempts}
	c.writeJournal(func(j Journal) error { return j.Settled(l) })
}

// send makes one attempt, logs it, and reports whether it counts as delivered.
func (c *Courier) send(p *payload, d Delivery, duplicate bool) bool {
	c.mu.Lock()
	p.attempts++
	number := p.attempts
	c.mu.Unlock()
	started := c.now()
	status, err := c.post(p, d)
	failed := d.failed(status)
	c.Attempts.Add(p.attempt(started, func(a *Attempt) {
		a.Number, a.Duplicate, a.Status = number, duplicate, status
		if err != nil {
			a.Error = err.Error()
		}
	}))
	if failed {
		c.log.WarnContext(c.ctx, "webhook delivery failed", "url", p.hook.URL, "action", p.event.Action, "status", status, "error", err)
	}
	return !failed
}

// post sends the body with the configured header, and no headers that factro would not send.
func (c *Courier) post(p *payload, d Delivery) (status int, err error) {
	timeout := d.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	body, err := json.Marshal(c.body(p, d))
	if err != nil {
		return 0, fmt.Errorf("encode webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.hook.URL, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("build webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "") // nothing is known of factro's
	if p.hook.Header != "" {
		req.Header.Set(p.hook.Header, p.hook.Value)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("deliver webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	return resp.StatusCode, nil
}

// body is the body of a webhook: the two proven keys, or the wider body, which must not break a receiver.
func (c *Courier) body(p *payload, d Delivery) map[string]any {
	if !d.Wide {
		return map[string]any{"action": p.event.Action, "context": map[string]any{"entityId": p.event.EntityID}}
	}
	return map[string]any{
		"action": p.event.Action, "id": p.id, "webhookId": p.hook.ID, "createdAt": tenant.Instant(p.createdAt), "mandantId": c.mandant,
		"context": map[string]any{"entityId": p.event.EntityID, "somethingNew": map[string]any{"any": []any{"thing", 1, nil}}},
	}
}
