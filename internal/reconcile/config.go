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

// Config configures the reconciliation of one cloud.
type Config struct {
	// Cloud is the configured name of the factro cloud, Source the URI in its events' attribute source.
	Cloud, Source string
	Prefix        events.Prefix
	Timing
	// Actions are the actions that are reconciled; empty means all.
	Actions []string
	// Callback is the URL of our webhooks, as entered at factro. Records of webhooks with another URL are ignored. Without
	// it, records count as ours if their URL ends in /webhooks/<cloud>, as the bridge's own path does, or all of them if
	// there was no such record for three days: a proxy may have changed the path.
	Callback string
}

// Timing sets when a cloud is reconciled, and how far back.
type Timing struct {
	// Every is the time between two runs.
	Every time.Duration
	// Overlap is how far each run reaches behind the previous one: the time within which a late record or a late delivery
	// is still found.
	Overlap time.Duration
	// Grace is how old a record must be to count as missing; until then its webhook may be in transit or in a spool.
	Grace time.Duration
}

// Validate reports every mistake, and names the settings as in the configuration file.
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

// Validate reports every mistake, and names the settings as in the configuration file.
func (c Config) Validate() error {
	return errors.Join(c.Timing.Validate(), ValidateCallback(c.Callback))
}

// ValidateCallback returns an error for an invalid Callback; an empty one is valid.
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
	// maxSkew is how far factro's clock may be ahead of ours, so that an event seems older than its record by that much.
	maxSkew = 5 * time.Minute
	// maxRecords is how many records are compared at once. A record takes about 200 bytes, and at most twice as many are in
	// memory while the list is read; events of the same time take less. A longer list is compared in windows, the oldest
	// first, and read again for each window.
	maxRecords = 100_000
	// maxHeld is how many bytes of the records themselves are in memory; the rest is in a temporary file.
	maxHeld = 8 << 20
	// pathHolds is how long after the last such record it is known that webhooks with the bridge's own path exist.
	pathHolds = 72 * time.Hour
	// maxReported is how many missing records are reported one by one.
	maxReported = 1000
	// spoolWait limits how long a run waits for this process's spool.
	spoolWait = 5 * time.Minute
	// rest is how long Run waits after a run before it acts on a trigger, so that many triggers cause one run.
	rest = 10 * time.Second
)
