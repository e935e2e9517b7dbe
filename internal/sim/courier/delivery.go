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

// Delivery says how webhooks are delivered. Nothing but the POST with action and context.entityId is proven of factro.
type Delivery struct {
	// Wide sends the wider body: id, webhookId, createdAt, mandantId, and an unknown key in the context.
	Wide bool
	// Retries is how often a failed delivery is tried again; RetryDelay lies between the attempts.
	Retries    int
	RetryDelay time.Duration
	// RetryOn are the answers that count as failed, such as "5xx,429". Empty means every answer but a 2xx. No answer at
	// all always counts as failed.
	RetryOn string
	// Duplicates is the probability that a successful delivery is repeated.
	Duplicates float64
	// Reorder is the probability that a delivery lets the next one of its webhook go first.
	Reorder float64
	// Loss is the probability that an event is stored but never delivered.
	Loss float64
	// Delay lies before each delivery.
	Delay time.Duration
	// ReadableAfter is how long reads still show the state from before a change. With a Delay below it, a delivery comes
	// before its change is readable.
	ReadableAfter time.Duration
	// StoredAfter is how long a payload takes to show up among the stored ones.
	StoredAfter time.Duration
	// StoredLate is the probability that a payload is one of those that take so long; 0 is that all do.
	StoredLate float64
	// StoredContext is the context of stored payloads, one of StoredContexts; the first is the default.
	StoredContext string
	// StoredOrder is the order of the list of stored payloads, one of StoredOrders; the first is the default.
	StoredOrder string
	// NullIDs stores payloads without id, webhookId, delivery state and webhook.
	NullIDs bool
	// Silent keeps changes through the API from firing. Events that are fired by hand are delivered nevertheless.
	Silent bool
	// Timeout bounds one attempt; ten seconds if zero.
	Timeout time.Duration
}

// StoredContexts are the contexts that stored payloads may have: the delivered one, one that names the object by another
// key, as in the one public example, and an empty one, as in the same example.
var StoredContexts = []string{"delivered", "named", "empty"}

// StoredOrders are the orders in which they may be listed.
var StoredOrders = []string{"oldest", "newest", "shuffled"}

// Settings are its values by name.
func (d *Delivery) Settings() []setting.Setting {
	return []setting.Setting{
		setting.Boolean("wide", &d.Wide, "body with id, webhookId, createdAt, mandantId and an unknown context key"),
		setting.Number("retries", &d.Retries, "how often a failed delivery is tried again"),
		setting.Duration("retryDelay", &d.RetryDelay, "time between attempts, such as 200ms"),
		setting.Text("retryOn", &d.RetryOn, "failed answers, such as 5xx,429; empty is everything but 2xx"),
		setting.Fraction("duplicates", &d.Duplicates, "probability that a delivery is repeated"),
		setting.Fraction("reorder", &d.Reorder, "probability that a delivery lets the next one go first"),
		setting.Fraction("loss", &d.Loss, "probability that an event is never delivered"),
		setting.Duration("delay", &d.Delay, "time before each delivery"),
		setting.Duration("readableAfter", &d.ReadableAfter, "time for which reads show the state before a change"),
		setting.Duration("storedAfter", &d.StoredAfter, "time until a payload shows up among the stored ones"),
		setting.Fraction("storedLate", &d.StoredLate, "probability that a payload takes that long; 0 is all"),
		setting.Text("storedContext", &d.StoredContext, "context of stored payloads: "+strings.Join(StoredContexts, ", ")),
		setting.Text("storedOrder", &d.StoredOrder, "order of stored payloads: "+strings.Join(StoredOrders, ", ")),
		setting.Boolean("nullIDs", &d.NullIDs, "stored payloads have neither ids nor delivery state nor webhook"),
		setting.Boolean("silent", &d.Silent, "changes through the API fire nothing"),
		setting.Duration("timeout", &d.Timeout, "bound of one attempt, 10s if zero"),
	}
}

// Set sets one value from text, as a flag does. A mistake changes nothing.
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

// Validate reports every mistake at once.
func (d Delivery) Validate() error {
	var errs []error
	for _, p := range []struct {
		name  string
		value float64
	}{{"duplicates", d.Duplicates}, {"reorder", d.Reorder}, {"loss", d.Loss}, {"storedLate", d.StoredLate}} {
		if !(p.value >= 0 && p.value <= 1) {
			errs = append(errs, fmt.Errorf("delivery: %s %v is no probability from 0 to 1", p.name, p.value))
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

// failed reports whether an answer's status counts as failed. Zero stands for no answer.
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

// UnmarshalJSON sets what is named and keeps the rest.
func (d *Delivery) UnmarshalJSON(data []byte) error {
	if err := setting.FromJSON(d.Settings(), data); err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	return nil
}
