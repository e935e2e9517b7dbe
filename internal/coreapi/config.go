package coreapi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Config is for the Core API of one cloud.
type Config struct {
	// Cloud is the configured name of the factro cloud.
	Cloud string
	// URL is the base of the Core API.
	URL string
	// Key is the API key.
	Key secret.Source
	// Hidden are other secrets that factro knows, and that its answers must not show: those of its webhooks.
	Hidden []secret.Source
	// RequestsPerMinute bounds the requests of this cloud; 0 leaves it to factro, whose answers say how many it allows: 500 (one
	// source). Whether they are counted by key, user or address is not known.
	RequestsPerMinute int
	// Reserve is the percentage of factro's budget that commands leave to queries and reconciliation; 0 for none.
	Reserve int
	// Budgets are those of all clouds of the process, or nil for a budget of its own.
	Budgets *budget.Pool
	// Timeout bounds one call; one that sends or takes a stream, how long nothing of it may come, or too little.
	Timeout time.Duration
	// UserAgent is how the bridge calls itself.
	UserAgent string
	// Files are what the key's file belongs to, or nil for a set of its own.
	Files *lastgood.Files
}

// Validate reports every mistake, naming the settings as in the configuration file.
func (c Config) Validate() error {
	var errs []error
	switch u, err := url.Parse(c.URL); {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "":
		errs = append(errs, fmt.Errorf("api.url: %q is not the base URL of a Core API, such as https://cloud.factro.com/api/core", secret.Address(c.URL)))
	case strings.Contains(c.URL, "@"): // url.Parse may see no user, if the password has a / in it
		errs = append(errs, fmt.Errorf("api.url: %q has a user or a password; the Core API takes the key in api.key, and nothing else", secret.Address(c.URL)))
	default:
		if err := secret.CheckPort(u.Host); err != nil {
			errs = append(errs, fmt.Errorf("api.url: %q: %w", secret.Address(c.URL), err))
		}
	}
	if err := c.Key.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("api.key: %w", err))
	}
	if c.RequestsPerMinute < 0 || c.RequestsPerMinute > budget.MaxPerMinute {
		errs = append(errs, fmt.Errorf("api.requests_per_minute: %d is not between 1 and %d, or 0 for as many as factro allows", c.RequestsPerMinute, budget.MaxPerMinute))
	}
	if c.Reserve < 0 || c.Reserve > MaxReserve {
		errs = append(errs, fmt.Errorf("api.reserve: %d is not a percentage between 1 and %d", c.Reserve, MaxReserve))
	}
	if c.Timeout < time.Second || c.Timeout > 5*time.Minute {
		errs = append(errs, fmt.Errorf("api.timeout: %s is not between 1s and 5m", c.Timeout))
	}
	return errors.Join(errs...)
}

const (
	// deferAfter is how long a wait must be for the sender to hear of it.
	deferAfter = 2 * time.Second
	// probeEvery is how often a paused cloud is asked whether its key is good again. A new key is tried at once.
	probeEvery = 30 * time.Second
	// keyLookEvery is how often a paused cloud looks for a new key.
	keyLookEvery = time.Second
	// probeLook is how soon who waits for another one's probe looks again.
	probeLook = 10 * time.Millisecond
	// openFor is how long an open breaker waits before a probe.
	openFor = 15 * time.Second
	// MaxReserve is the largest api.reserve: at least half of the budget is for commands.
	MaxReserve = 50
	// maxAnswer bounds what is read of an answer. Lists at factro are not paginated, but commands answer with what they
	// changed.
	maxAnswer = 8 << 20
	// maxStream bounds what is read of an answer that is taken as a stream, so that one without an end costs no more.
	maxStream = 1 << 30
	// narrowSkew is how far factro's clock may be off after an answer has told it by the second, wideSkew before that.
	// What was made a little before the call is only in doubt.
	narrowSkew = 3 * time.Second
	WideSkew   = 2 * time.Minute
	// QueryTimeout bounds a query from its call to the end of its answer, however steadily that comes.
	QueryTimeout = 10 * time.Minute
	// stretch is how much of a streamed answer has to come within each timeout, in bytes: were it any byte, an answer that
	// comes byte by byte would go on for days.
	stretch = 64 << 10
	// MaxErrorText bounds what is read of an answer that is an error: for people, a few hundred bytes are enough.
	MaxErrorText = 64 << 10
)
