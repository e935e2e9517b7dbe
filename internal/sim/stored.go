package sim

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// stored lists the payloads since an instant, the bound included, of one action or of all. The webhook's secret is in
// them, as at factro.
func (c *courier) stored(since time.Time, action string) []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, ripe := []any{}, c.now().Add(-c.delivery.StoredAfter)
	for _, p := range c.payloads {
		late := p.createdAt.After(ripe) && !p.prompt
		if p.createdAt.Before(since.Truncate(time.Millisecond)) || late || action != "" && p.event.action != action {
			continue
		}
		out = append(out, c.record(p))
	}
	switch c.delivery.StoredOrder {
	case "newest":
		slices.Reverse(out)
	case "shuffled":
		c.dice.shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func (c *courier) record(p *payload) object {
	out := object{
		"id": p.id, "webhookId": p.hook.id, "action": p.event.action, "deliveryStatus": p.status,
		"deliveryAttempts": p.attempts, "createdAt": instant(p.createdAt), "mandantId": c.mandant,
		"context": storedContext(c.delivery.StoredContext, p.event),
		"webhook": object{
			"id": p.hook.id, "mandantId": c.mandant, "employeeId": demoUser, "callbackUri": p.hook.URL,
			"authenticationHeaderName": orNull(p.hook.Header), "authenticationHeaderValue": orNull(p.hook.Value),
			"actionType": p.hook.Action, "createdAt": instant(p.hook.createdAt),
		},
	}
	if c.delivery.NullIDs {
		for _, key := range []string{"id", "webhookId", "deliveryStatus", "deliveryAttempts", "webhook"} {
			out[key] = nil
		}
	}
	return out
}

// storedContext is the context of a stored payload. That the key of the object is made of the action's first word is the
// simulator's invention, after the one example taskId.
func storedContext(variant string, e event) object {
	switch variant {
	case "named":
		end := len(e.action)
		for i, letter := range e.action {
			if i > 0 && unicode.IsUpper(letter) {
				end = i
				break
			}
		}
		return object{strings.ToLower(e.action[:end]) + "Id": e.entity, "happened": "somehow"}
	case "empty":
		return object{}
	}
	return object{"entityId": e.entity}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
