package courier

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim/setting"
)

// Delivery says how webhooks are delivered. Only the POST with action and context.entityId is proven for factro.
type Delivery struct {
	// Wide sends the wider body: id, webhookId, createdAt, mandantId, and an unknown key in the context.
	Wide bool
	// Retries is how often a failed delivery is retried. RetryDelay is the time between attempts.
	Retries    int
	RetryDelay time.Duration
	// RetryOn are the answers that count as failed, such as "5xx,429". Empty means every answer except 2xx. A missing answer always
	// counts as failed.
	RetryOn string
	// Duplicates is the probability that a successful delivery is repeated.
	Duplicates float64
	// Reorder is the probability that a delivery swaps with the next one of its webhook.
	Reorder float64
	// Loss is the probability that an event is stored but never delivered.
	Loss float64
	// Delay is the time before each delivery.
	Delay time.Duration
	// ReadableAfter is how long reads still show the state before a change. With a shorter Delay, a delivery arrives before its change
	// is readable.
	ReadableAfter time.Duration
	// StoredAfter is the time until a payload is in the list of stored payloads.
	StoredAfter time.Duration
	// StoredLate is the probability that a payload takes that long; 0 means that all do.
	StoredLate float64
	// StoredContext is the context of stored payloads, one of StoredContexts; the first is the default.
	StoredContext string
	// StoredOrder is the order of the list of stored payloads, one of StoredOrders; the first is the default.
	StoredOrder string
	// NullIDs stores payloads without id, webhookId, delivery state and webhook.
	NullIDs bool
	// Silent stops changes through the API from firing events. Events that are fired by hand are still delivered.
	Silent bool
	// Timeout limits one attempt; zero means ten seconds.
	Timeout time.Duration
}

// StoredContexts are the possible contexts of stored payloads: the delivered one, one with another key for the object, and an empty
// one. The only public example has the last two.
var StoredContexts = []string{"delivered", "named", "empty"}

// StoredOrders are the possible orders of the list.
var StoredOrders = []string{"oldest", "newest", "shuffled"}

// Settings are its values by name.
func (d *Delivery) Settings() []setting.Setting {
	return []setting.Setting{
		setting.Boolean("wide", &d.Wide, "body with id, webhookId, createdAt, mandantId and an unknown context key"),
		setting.Number("retries", &d.Retries, "how often a failed delivery is retried"),
		setting.Duration("retryDelay", &d.RetryDelay, "time between attempts, such as 200ms"),
		setting.Text("retryOn", &d.RetryOn, "failed answers, such as 5xx,429; empty is everything but 2xx"),
		setting.Fraction("duplicates", &d.Duplicates, "probability that a delivery is repeated"),
		setting.Fraction("reorder", &d.Reorder, "probability that a delivery swaps with the next one"),
		setting.Fraction("loss", &d.Loss, "probability that an event is never delivered"),
		setting.Duration("delay", &d.Delay, "time before each delivery"),
		setting.Duration("readableAfter", &d.ReadableAfter, "how long reads show the state before a change"),
		setting.Duration("storedAfter", &d.StoredAfter, "time until a payload is in the list of stored payloads"),
		setting.Fraction("storedLate", &d.StoredLate, "probability that a payload takes that long; 0 means all"),
		setting.Text("storedContext", &d.StoredContext, "context of stored payloads: "+strings.Join(StoredContexts, ", ")),
		setting.Text("storedOrder", &d.StoredOrder, "order of stored payloads: "+strings.Join(StoredOrders, ", ")),
		setting.Boolean("nullIDs", &d.NullIDs, "stored payloads have neither ids nor delivery state nor webhook"),
		setting.Boolean("silent", &d.Silent, "changes through the API fire nothing"),
		setting.Duration("timeout", &d.Timeout, "limit of one attempt, 10s if zero"),
	}
}

// Set sets one value from text, like a flag. After a mistake nothing has changed.
func (d *Delivery) Set(name, value string) error {
	changed := *d
	if err := setting.Set(changed.Settings(), name, value); err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	if err := changed.Validate(); err != nil {
		return err
	}
	*d = changed
	return nil
}

// Validate reports all mistakes at once.
func (d Delivery) Validate() error {
	var errs []error
	for _, p := range []struct {
		name  string
		value float64
	}{{"duplicates", d.Duplicates}, {"reorder", d.Reorder}, {"loss", d.Loss}, {"storedLate", d.StoredLate}} {
		if !(p.value >= 0 && p.value <= 1) {
			errs = append(errs, fmt.Errorf("delivery: %s %v is not a probability from 0 to 1", p.name, p.value))
		}
	}
	for _, w := range []struct {
		name, value string
		allowed     []string
	}{{"storedContext", d.StoredContext, StoredContexts}, {"storedOrder", d.StoredOrder, StoredOrders}} {
		if w.value != "" && !slices.Contains(w.allowed, w.value) {
			errs = append(errs, fmt.Errorf("delivery: %s %q is none of %s", w.name, w.value, strings.Join(w.allowed, ", ")))
		}
	}
	for _, t := range []struct {
		name  string
		value time.Duration
	}{
		{"retryDelay", d.RetryDelay},
		{"delay", d.Delay},
		{"readableAfter", d.ReadableAfter},
		{"storedAfter", d.StoredAfter},
		{"timeout", d.Timeout},
	} {
		if t.value < 0 {
			errs = append(errs, fmt.Errorf("delivery: %s %v is negative", t.name, t.value))
		}
	}
	if d.Retries < 0 {
		errs = append(errs, fmt.Errorf("delivery: retries %d is negative", d.Retries))
	}
	for _, code := range d.retryCodes() {
		if n, err := strconv.Atoi(strings.Replace(code, "xx", "00", 1)); err != nil || n < 100 || n > 599 {
			errs = append(errs, fmt.Errorf("delivery: retryOn %q is neither a status nor a class such as 5xx", code))
		}
	}
	return errors.Join(errs...)
}

func (d Delivery) retryCodes() []string {
	return strings.FieldsFunc(d.RetryOn, func(r rune) bool { return r == ',' || r == ' ' })
}

// failed reports whether the status of an answer counts as failed. Zero means no answer.
func (d Delivery) failed(status int) bool {
	codes := d.retryCodes()
	if status == 0 || len(codes) == 0 {
		return status < 200 || status > 299
	}
	for _, code := range codes {
		if code == strconv.Itoa(status) || code == strconv.Itoa(status/100)+"xx" {
			return true
		}
	}
	return false
}

// MarshalJSON writes every value under the name that Set takes.
func (d Delivery) MarshalJSON() ([]byte, error) { return setting.JSON(d.Settings()) }

// UnmarshalJSON sets the given values and keeps the others.
func (d *Delivery) UnmarshalJSON(data []byte) error {
	if err := setting.FromJSON(d.Settings(), data); err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	return nil
}
