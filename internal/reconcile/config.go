package reconcile

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Config is for the reconciliation of one cloud.
type Config struct {
	// Cloud is the configured name of the factro cloud, Source the URI in its events' attribute source.
	Cloud, Source string
	Prefix        events.Prefix
	Timing
	// Actions are the actions that are reconciled; all if it is empty.
	Actions []string
	// Callback is the URL of our webhooks, as it was entered at factro. Records of webhooks with another URL are not ours.
	// Without it, those are ours whose URL ends in /webhooks/<cloud>, as the bridge's own path does, or all if there were
	// none for three days: a proxy may have changed the path.
	Callback string
}

// Timing says when a cloud is reconciled, and how far back.
type Timing struct {
	// Every is the time between two runs.
	Every time.Duration
	// Overlap is how far each run looks behind the one before it: how late a record may show up, and how late a delivery
	// may come.
	Overlap time.Duration
	// Grace is how old a record must be to be missing; until then its webhook may be under way, or in a spool.
	Grace time.Duration
}

// Validate reports every mistake, naming the settings as in the configuration file.
func (t Timing) Validate() error {
	var errs []error
	if t.Every < time.Second || t.Every > 24*time.Hour {
		errs = append(errs, fmt.Errorf("reconcile.every: %s is not between 1s and 24h", t.Every))
	}
	if t.Grace < 0 || t.Grace > 24*time.Hour {
		errs = append(errs, fmt.Errorf("reconcile.grace: %s is not between 0s and 24h", t.Grace))
	}
	if t.Overlap < time.Second || t.Overlap > 7*24*time.Hour || t.Overlap <= t.Grace {
		errs = append(errs, fmt.Errorf("reconcile.overlap: %s is not between 1s and 168h, and above reconcile.grace", t.Overlap))
	}
	return errors.Join(errs...)
}

// Validate reports every mistake, naming the settings as in the configuration file.
func (c Config) Validate() error {
	return errors.Join(c.Timing.Validate(), ValidateCallback(c.Callback))
}

// ValidateCallback says what is wrong with the setting of a Callback; an empty one is right.
func ValidateCallback(callback string) error {
	if callback == "" {
		return nil
	}
	u, err := url.Parse(callback)
	if err != nil || u.Host == "" || u.User == nil && strings.Contains(callback, "@") {
		return fmt.Errorf("webhook.url: %q is not the URL of a webhook, such as https://bridge.example.com/webhooks/acme", secret.Address(callback))
	}
	if err := secret.CheckPort(u.Host); err != nil {
		return fmt.Errorf("webhook.url: %q: %w", secret.Address(callback), err)
	}
	return nil
}

const (
	// maxSkew is how far factro's clock may be ahead of ours: an event may seem to be so much older than its record.
	maxSkew = 5 * time.Minute
	// maxRecords is how many records are compared at once. What is held of a record is about 200 bytes, and at most twice
	// as many are held while the list is read; of the events of the same time less. A longer list is compared in windows,
	// the oldest first, and read again for each of them.
	maxRecords = 100_000
	// maxHeld is how many bytes of the records themselves are held; the rest lies in a temporary file.
	maxHeld = 8 << 20
	// pathHolds is for how long it is known that webhooks with the bridge's own path exist, after the last record of one.
	pathHolds = 72 * time.Hour
	// maxReported is how many missing records are reported one by one.
	maxReported = 1000
	// spoolWait bounds how long a run waits for this process's spool.
	spoolWait = 5 * time.Minute
	// rest is how long Run waits after a run before it heeds a trigger, so that many of them are one run.
	rest = 10 * time.Second
)
