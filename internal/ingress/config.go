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

// Config is for the webhooks of all clouds.
type Config struct {
	// MaxBody is the size in bytes up to which a body is taken.
	MaxBody int64
	// MaxInFlight bounds how many webhooks are stored at once, MaxMemory the bytes that those take that are read and stored.
	// Half of each is for all clouds in equal parts, the other half for whoever comes first. Only who knows a secret gets so
	// far.
	MaxInFlight int
	MaxMemory   int64
	// MaxConnections bounds the connections in all, MaxConnectionsPerAddress those of one address.
	MaxConnections, MaxConnectionsPerAddress int
	// MaxHeader is the size in bytes up to which the header of a request is taken.
	MaxHeader int
	// PathPrefix is what may stand before /webhooks in a path, such as /factro, or "".
	PathPrefix string
	// IdleTimeout is how long a connection may be idle that has shown a right secret. Others have seconds.
	IdleTimeout time.Duration
	// StoreTimeout bounds how long a request waits for its event to be stored.
	StoreTimeout time.Duration
	// KnownActions is the operator's list of factro's actions, which are no news. Without one, only those that are public
	// are known.
	KnownActions []string
	Clouds       []Cloud
	// OnLost, if set, is told the cloud of each webhook that came with a right secret and could not be kept, so that it can
	// be fetched from factro later. It must not block.
	OnLost func(cloud string)
	// OnRefused, if set, is told of each request that is refused, in place of the log, which has samples. It must not block.
	OnRefused func(Refusal)
	// Kept, if set, is how many webhooks the store has kept by its own count. What arrived is held against it in the metric
	// factro.bridge.unaccounted.
	Kept func() int64
	// Files are what the secrets' files belong to, or nil for a set of their own.
	Files *lastgood.Files
}

// Cloud is one factro cloud whose webhooks are taken.
type Cloud struct {
	// Name is the last part of the path, and a token of the subjects.
	Name string
	// Source is the URI in the events' attribute source.
	Source string
	// Header is the name of the header that factro was told to send, Secrets the values that are accepted in it.
	Header  string
	Secrets []secret.Source
}

// minSecret is the length below which a secret could be guessed, goodSecret the one below which the operator is warned.
// factro signs nothing: the secret is all there is.
const minSecret, goodSecret = 8, 16

// CheckSecret says that a secret is too short to be one.
func CheckSecret(s secret.String) error {
	if len(strings.TrimSpace(s.Reveal())) < minSecret {
		return fmt.Errorf("the secret has %s, want at least %d", plural.Of(len(s), "byte"), goodSecret)
	}
	return nil
}

// Validate reports every mistake, naming the settings as in the configuration file.
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

// validate reports every mistake, naming each setting below a path.
func (c Cloud) validate(path string) error {
	var errs []error
	if u := types.ParseURIRef(c.Source); c.Source == "" || u == nil {
		errs = append(errs, errors.New(path+"source: it is not a URI, such as urn:factro:cloud:acme"))
	}
	if !headerName.MatchString(c.Header) || slices.Contains(framing, http.CanonicalHeaderKey(c.Header)) {
		errs = append(errs, fmt.Errorf("%swebhook.header: %q is not the name of a header that can carry a secret, such as X-Bridge-Key", path, c.Header))
	}
	if len(c.Secrets) == 0 {
		errs = append(errs, errors.New(path+"webhook.secrets: none is given; factro does not sign, so without a secret anybody could send events"))
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

// headerName is a token by RFC 9110; net/http refuses requests with other names.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// framing are headers that net/http takes out of a request, so that a secret in them would never be seen.
var framing = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"}

// Warnings tells what is allowed and should be otherwise, naming the settings as in the configuration file.
func (c Config) Warnings() []string {
	var out []string
	for i, cloud := range c.Clouds {
		if strings.ContainsAny(cloud.Header, "_.") {
			out = append(out, fmt.Sprintf("clouds[%d].webhook.header: %q has _ or . in it; proxies such as nginx drop such headers, and every webhook would be answered with 401. Take - instead", i, cloud.Header))
		}
		for j, s := range cloud.Secrets {
			if s.Value != "" && CheckSecret(s.Value) == nil && len(s.Value) < goodSecret {
				out = append(out, fmt.Sprintf("clouds[%d].webhook.secrets[%d]: the secret has %s, want at least %d; it is all that proves a sender", i, j, plural.Of(len(s.Value), "byte"), goodSecret))
			}
		}
	}
	return out
}

// LeastMemory is what webhooks have to be given at least: the half that is for all takes a body of the largest size, in a
// buffer that has grown by doubling.
func LeastMemory(maxBody int64) int64 { return 2 * (2*maxBody + requestCost + firstRead) }

// Limits on a connection. A webhook is a small request from a machine; who needs longer is not factro.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second // header and body
	answerTimeout = 5 * time.Second  // writing the answer, once it is known
	// patience is how long a connection may be idle that has shown no secret.
	patience = 5 * time.Second

	// net/http takes headerSlop more than it is told. It is told twice the size that is allowed: what it refuses itself
	// nobody hears of but the sender, so the handler refuses what is a little too large.
	headerSlop                  = 4 << 10
	leastHeader, mostHeaderSize = 4 << 10, 64 << 10

	// maxStoreTimeout keeps a sender from waiting longer than any sender does.
	maxStoreTimeout = 30 * time.Second
	// storeMargin is how much later than StoreTimeout an answer may come: a write that has begun gets a second.
	storeMargin = 1200 * time.Millisecond
)
