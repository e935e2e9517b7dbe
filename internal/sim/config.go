package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/courier"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// What a zero Config means.
const (
	DefaultKey       = "sim-key"
	DefaultMandantID = factro.ExampleMandant
	DefaultQuota     = 500
	DefaultWindow    = time.Minute
)

// The parts of a Config and of the logs, as the packages below define them.
type (
	// Webhook is one registration, as in factro's web UI.
	Webhook = courier.Webhook
	// Delivery says how webhooks are delivered.
	Delivery = courier.Delivery
	// Attempt is one attempt to deliver a webhook.
	Attempt = courier.Attempt
	// Variants are the things that are not known outside factro.
	Variants = tenant.Variants
	// Seeded are the ids of the objects that exist from the start.
	Seeded = tenant.Seeded
)

// Config says what kind of factro is simulated.
type Config struct {
	// Key is the one API key that is accepted; DefaultKey if empty.
	Key string
	// MandantID is the tenant's id; DefaultMandantID if empty.
	MandantID string
	// Examples adds to the demo tenant one object of each kind, with the ids of the examples in the documents, so that
	// each of those can be carried out as it stands.
	Examples bool
	// Webhooks are registered at the start, as an operator would do it in factro's web UI.
	Webhooks []Webhook
	// Quota is how many requests a Window allows. Zero means DefaultQuota and DefaultWindow.
	Quota  int
	Window time.Duration
	// Variants are the unknowns of factro. The zero value is what is best supported.
	Variants Variants
	// Faults are in force from the start.
	Faults Faults
	// Delivery says how webhooks are delivered. The zero value delivers everything once, in order and at once.
	Delivery Delivery
	// Seed makes ids and random faults repeatable. Zero takes one from the clock and logs it.
	Seed uint64
	// StateDir is where a journal is kept, from which a simulator that was killed goes on. Empty keeps nothing.
	StateDir string
	// Now is the simulator's clock; time.Now if nil. Delays are real time nevertheless.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Key == "" {
		c.Key = DefaultKey
	}
	if c.MandantID == "" {
		c.MandantID = DefaultMandantID
	}
	if c.Quota == 0 {
		c.Quota = DefaultQuota
	}
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate reports every mistake at once. Zero values are no mistakes, they have defaults.
func (c Config) Validate() error {
	var errs []error
	if c.MandantID != "" && !tenant.IsUUID(c.MandantID) {
		errs = append(errs, fmt.Errorf("mandant id %q is no uuid", c.MandantID))
	}
	if c.Quota < 0 {
		errs = append(errs, fmt.Errorf("quota %d is negative", c.Quota))
	}
	if c.Window < 0 || c.Window > 0 && c.Window < time.Second {
		errs = append(errs, fmt.Errorf("window %v is shorter than a second, which the rate limit's headers cannot say", c.Window))
	}
	for i, h := range c.Webhooks {
		if err := h.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("webhook %d: %w", i+1, err))
		}
	}
	errs = append(errs, c.Variants.Validate(), c.Faults.Validate(), c.Delivery.Validate())
	return errors.Join(errs...)
}
