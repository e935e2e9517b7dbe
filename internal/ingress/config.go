package ingress

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Config configures the webhooks of all clouds.
type Config struct {
	// MaxBody is the maximum size of a body in bytes.
	MaxBody int64
	// MaxInFlight limits how many webhooks are stored at once, MaxMemory the bytes of the webhooks that are being read and
	// stored. Half of each is divided equally among the clouds; the other half is shared, first come, first served. Only
	// senders with a correct secret take part of it.
	MaxInFlight int
	MaxMemory   int64
	// MaxConnections limits all connections, MaxConnectionsPerAddress those of one address.
	MaxConnections, MaxConnectionsPerAddress int
	// MaxHeader is the maximum size of a request's header in bytes.
	MaxHeader int
	// PathPrefix may stand before /webhooks in a path, such as /factro, or is "".
	PathPrefix string
	// IdleTimeout is how long a connection that has shown a correct secret may be idle. Others have seconds.
	IdleTimeout time.Duration
	// StoreTimeout limits how long a request waits for its event to be stored.
	StoreTimeout time.Duration
	// KnownActions is the operator's list of factro's actions, which are not reported as drift. Without it, only the public
	// ones are known.
	KnownActions []string
	Clouds       []Cloud
	// OnLost, if set, is called with the cloud of each webhook that came with a correct secret and could not be stored, so
	// that it can be fetched from factro later. It must not block.
	OnLost func(cloud string)
	// OnRefused, if set, is called for each refused request, instead of the sampled log. It must not block.
	OnRefused func(Refusal)
	// Kept, if set, returns how many webhooks the store has kept by its own count. The metric factro.bridge.unaccounted
	// compares it with what arrived.
	Kept func() int64
	// Files holds the files of the secrets.
	Files *lastgood.Files
}

// Cloud is a factro cloud whose webhooks are received.
type Cloud struct {
	// Name is the last part of the path, and a token of the subjects.
	Name string
	// Source is the URI in the events' attribute source.
	Source string
	// Header is the name of the header that factro sends the secret in, Secrets the accepted values.
	Header  string
	Secrets []secret.Source
}

// minSecret is the length below which a secret could be guessed, goodSecret the length below which there is a warning.
// factro does not sign webhooks: the secret is the only protection.
const minSecret, goodSecret = 8, 16

// CheckSecret returns an error if a secret is too short.
func CheckSecret(s secret.String) error {
	if len(strings.TrimSpace(s.Reveal())) < minSecret {
		return fmt.Errorf("the secret has %s, want at least %d", plural.Of(len(s), "byte"), goodSecret)
	}
	return nil
}

// Validate reports every mistake, and names the settings as in the configuration file.
func (c Config) Validate() error {
	var errs []error
	if c.MaxBody < 1<<10 || c.MaxBody > 64<<20 {
		errs = append(errs, fmt.Errorf("http.max_body: %s is not between 1KiB and 64MiB", plural.Of(c.MaxBody, "byte")))
	}
	if c.MaxInFlight < 1 {
		errs = append(errs, fmt.Errorf("http.max_in_flight: %d is not positive", c.MaxInFlight))
	}
	if c.StoreTimeout < 100*time.Millisecond || c.StoreTimeout > maxStoreTimeout {
		errs = append(errs, fmt.Errorf("http.store_timeout: %s is not between 100ms and %s", c.StoreTimeout, maxStoreTimeout))
	}
	if c.MaxMemory < LeastMemory(c.MaxBody) {
		errs = append(errs, fmt.Errorf("http.max_memory: %s cannot hold one body of http.max_body for each cloud's half; want at least %d", plural.Of(c.MaxMemory, "byte"), LeastMemory(c.MaxBody)))
	}
	if c.MaxConnections < 16 || c.MaxConnections > 100_000 {
		errs = append(errs, fmt.Errorf("http.max_connections: %d is not between 16 and 100000", c.MaxConnections))
	}
	if c.MaxConnectionsPerAddress < 4 || c.MaxConnectionsPerAddress > c.MaxConnections {
		errs = append(errs, fmt.Errorf("http.max_connections_per_address: %d is not between 4 and http.max_connections, which is %d", c.MaxConnectionsPerAddress, c.MaxConnections))
	}
	if c.MaxHeader < leastHeader || c.MaxHeader > mostHeaderSize {
		errs = append(errs, fmt.Errorf("http.max_header: %s is not between 4KiB and 64KiB", plural.Of(c.MaxHeader, "byte")))
	}
	if !prefixForm.MatchString(c.PathPrefix) {
		errs = append(errs, fmt.Errorf("http.path_prefix: %q is not of the form /factro or /a/b, of letters, digits and ._~-", c.PathPrefix))
	}
	if c.IdleTimeout < patience {
		errs = append(errs, fmt.Errorf("http.idle_timeout: %s is less than %s", c.IdleTimeout, patience))
	}
	for i, cloud := range c.Clouds {
		errs = append(errs, cloud.validate(fmt.Sprintf("clouds[%d].", i)))
	}
	return errors.Join(errs...)
}

// validate reports every mistake, and names each setting below a path.
func (c Cloud) validate(path string) error {
	var errs []error
	if u := types.ParseURIRef(c.Source); c.Source == "" || u == nil {
		errs = append(errs, errors.New(path+"source: it is not a URI, such as urn:factro:cloud:acme"))
	}
	if !headerName.MatchString(c.Header) || slices.Contains(framing, http.CanonicalHeaderKey(c.Header)) {
		errs = append(errs, fmt.Errorf("%swebhook.header: %q is not the name of a header that can carry a secret, such as X-Bridge-Key", path, c.Header))
	}
	if len(c.Secrets) == 0 {
		errs = append(errs, errors.New(path+"webhook.secrets: none given; factro does not sign webhooks, so without a secret anybody could send events"))
	}
	for i, s := range c.Secrets {
		err := s.Validate()
		if err == nil && s.Value != "" {
			err = CheckSecret(s.Value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%swebhook.secrets[%d]: %w", path, i, err))
		}
	}
	return errors.Join(errs...)
}

// headerName is a token of RFC 9110; net/http refuses requests with other names.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// framing are headers that net/http removes from a request, so a secret in them would never arrive.
var framing = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"}

// Warnings reports what is allowed but should be changed, and names the settings as in the configuration file.
func (c Config) Warnings() []string {
	var out []string
	for i, cloud := range c.Clouds {
		if strings.ContainsAny(cloud.Header, "_.") {
			out = append(out, fmt.Sprintf("clouds[%d].webhook.header: %q has _ or . in it; proxies such as nginx drop such headers, and every webhook would be answered with 401. Use - instead", i, cloud.Header))
		}
		for j, s := range cloud.Secrets {
			if s.Value != "" && CheckSecret(s.Value) == nil && len(s.Value) < goodSecret {
				out = append(out, fmt.Sprintf("clouds[%d].webhook.secrets[%d]: the secret has %s, want at least %d; it is the only proof of the sender", i, j, plural.Of(len(s.Value), "byte"), goodSecret))
			}
		}
	}
	return out
}

// LeastMemory is the minimum for MaxMemory: the shared half has to hold a body of the maximum size, in a buffer that has
// grown by doubling.
func LeastMemory(maxBody int64) int64 { return 2 * (2*maxBody + requestCost + firstRead) }

// Limits of a connection. A webhook is a small request from a machine; a sender that needs longer is not factro.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second // header and body
	answerTimeout = 5 * time.Second  // writing the answer, once it is known
	// patience is how long a connection that has shown no secret may be idle.
	patience = 5 * time.Second

	// net/http allows headerSlop more than configured. It is set to twice the allowed size, so that the handler refuses a
	// header that is a little too large: what net/http refuses itself is neither logged nor counted.
	headerSlop                  = 4 << 10
	leastHeader, mostHeaderSize = 4 << 10, 64 << 10

	// maxStoreTimeout is as long as any sender waits for an answer.
	maxStoreTimeout = 30 * time.Second
	// storeMargin is how much later than StoreTimeout an answer may come: a write that has begun gets about a second more.
	storeMargin = 1200 * time.Millisecond
)
