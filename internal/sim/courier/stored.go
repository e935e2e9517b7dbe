package courier

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// Stored lists the payloads since an instant (inclusive), of one action or of all. They contain the webhook's secret, as at factro.
func (c *Courier) Stored(since time.Time, action string) []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, visibleBefore := []any{}, c.now().Add(-c.delivery.StoredAfter)
	for _, p := range c.payloads {
		late := p.createdAt.After(visibleBefore) && !p.storedAtOnce
		if p.createdAt.Before(since.Truncate(time.Millisecond)) || late || action != "" && p.event.Action != action {
			continue
		}
		out = append(out, c.record(p))
	}
	switch c.delivery.StoredOrder {
	case "newest":
		slices.Reverse(out)
	case "shuffled":
		c.random.shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func (c *Courier) record(p *payload) map[string]any {
	out := map[string]any{
		"id": p.id, "webhookId": p.hook.ID, "action": p.event.Action, "deliveryStatus": p.status,
		"deliveryAttempts": p.attempts, "createdAt": tenant.Instant(p.createdAt), "mandantId": c.mandant,
		"context": storedContext(c.delivery.StoredContext, p.event),
		"webhook": map[string]any{
			"id": p.hook.ID, "mandantId": c.mandant, "employeeId": c.owner, "callbackUri": p.hook.URL,
			"authenticationHeaderName": orNull(p.hook.Header), "authenticationHeaderValue": orNull(p.hook.Value),
			"actionType": p.hook.Action, "createdAt": tenant.Instant(p.hook.createdAt),
		},
	}
	if c.delivery.NullIDs {
		for _, key := range []string{"id", "webhookId", "deliveryStatus", "deliveryAttempts", "webhook"} {
			out[key] = nil
		}
	}
	return out
}

// storedContext is the context of a stored payload. The only public example has the key taskId. That the key is always made from the
// first word of the action is the simulator's invention.
func storedContext(variant string, e tenant.Event) map[string]any {
	switch variant {
	case "named":
		end := len(e.Action)
		for i, letter := range e.Action {
			if i > 0 && unicode.IsUpper(letter) {
				end = i
				break
			}
		}
		return map[string]any{strings.ToLower(e.Action[:end]) + "Id": e.EntityID, "happened": "somehow"}
	case "empty":
		return map[string]any{}
	}
	return map[string]any{"entityId": e.EntityID}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
