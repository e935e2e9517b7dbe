package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/courier"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// The defaults of a zero Config.
const (
	DefaultKey       = "sim-key"
	DefaultMandantID = factro.ExampleMandant
	DefaultQuota     = 500
	DefaultWindow    = time.Minute
)

// The parts of a Config and of the logs, from the packages below.
type (
	// Webhook is one registration, as in factro's web UI.
	Webhook = courier.Webhook
	// Delivery says how webhooks are delivered.
	Delivery = courier.Delivery
	// Attempt is one attempt to deliver a webhook.
	Attempt = courier.Attempt
	// Variants select behavior that is not known outside factro.
	Variants = tenant.Variants
	// Seeded are the ids of the objects that exist from the start.
	Seeded = tenant.Seeded
)

// Config says what kind of factro is simulated.
type Config struct {
	// Key is the only accepted API key; DefaultKey if empty.
	Key string
	// MandantID is the tenant's id; DefaultMandantID if empty.
	MandantID string
	// Examples adds one object of each kind to the demo tenant. They have the ids of the examples in the documents, so that each
	// example works unchanged.
	Examples bool
	// Webhooks are registered at the start, as an operator would do it in factro's web UI.
	Webhooks []Webhook
	// Quota is how many requests a Window allows. Zero means DefaultQuota and DefaultWindow.
	Quota  int
	Window time.Duration
	// Variants select behavior that is not known. The zero value is the most likely one.
	Variants Variants
	// Faults are active from the start.
	Faults Faults
	// Delivery says how webhooks are delivered. The zero value delivers everything once, in order and at once.
	Delivery Delivery
	// Seed makes ids and random faults repeatable. With zero, the seed comes from the clock and is logged.
	Seed uint64
	// StateDir is the directory of the journal, from which the simulator restores its state after a crash. Empty means no journal.
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

// Validate reports all mistakes at once. Zero values are valid: they have defaults.
func (c Config) Validate() error {
	var errs []error
	if c.MandantID != "" && !tenant.IsUUID(c.MandantID) {
		errs = append(errs, fmt.Errorf("mandant id %q is not a uuid", c.MandantID))
	}
	if c.Quota < 0 {
		errs = append(errs, fmt.Errorf("quota %d is negative", c.Quota))
	}
	if c.Window < 0 || c.Window > 0 && c.Window < time.Second {
		errs = append(errs, fmt.Errorf("window %v is shorter than a second, which the rate limit headers cannot express", c.Window))
	}
	for i, h := range c.Webhooks {
		if err := h.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("webhook %d: %w", i+1, err))
		}
	}
	errs = append(errs, c.Variants.Validate(), c.Faults.Validate(), c.Delivery.Validate())
	return errors.Join(errs...)
}
