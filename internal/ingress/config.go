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

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Config is for the webhooks of all clouds.
type Config struct {
	// Prefix is the first token of the subjects.
	Prefix events.Prefix
	// MaxBody is the size in bytes up to which a body is taken.
	MaxBody int64
	// MaxInFlight bounds how many bodies are worked on at once, and with MaxBody the memory they can take. Only who knows
	// a secret gets so far.
	MaxInFlight int
	// StoreTimeout bounds how long a request waits for its event to be stored.
	StoreTimeout time.Duration
	// KnownActions is the operator's list of factro's actions, which are no news. Without one, only those that are public
	// are known.
	KnownActions []string
	Clouds       []Cloud
	// OnLost, if set, is told the cloud of each webhook that came with a right secret and could not be kept, so that it can
	// be fetched from factro later. It must not block.
	OnLost func(cloud string)
	// Kept, if set, is how many webhooks the store has kept by its own count. What arrived is held against it in the metric
	// factro.bridge.unaccounted.
	Kept func() int64
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

// minSecret is the length below which a secret could be guessed. factro signs nothing: the secret is all there is.
const minSecret = 8

// usable returns the text of a secret, without the blanks around it that no header's value has, or why it is none.
func usable(s secret.String) (string, error) {
	text := strings.TrimSpace(s.Reveal())
	if len(text) < minSecret {
		return "", fmt.Errorf("the secret has %d bytes, want at least %d", len(text), minSecret)
	}
	return text, nil
}

// Validate reports every mistake, naming the settings as in the configuration file.
func (c Config) Validate() error {
	var errs []error
	if c.MaxBody < 1<<10 || c.MaxBody > 64<<20 {
		errs = append(errs, fmt.Errorf("http.max_body: %d bytes is not between 1KiB and 64MiB", c.MaxBody))
	}
	if c.MaxInFlight < 1 {
		errs = append(errs, fmt.Errorf("http.max_in_flight: %d is not positive", c.MaxInFlight))
	}
	if c.StoreTimeout < 100*time.Millisecond || c.StoreTimeout > maxStoreTimeout {
		errs = append(errs, fmt.Errorf("http.store_timeout: %s is not between 100ms and %s", c.StoreTimeout, maxStoreTimeout))
	}
	for i, cloud := range c.Clouds {
		if err := cloud.validate(); err != nil {
			errs = append(errs, fmt.Errorf("clouds[%d].webhook: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func (c Cloud) validate() error {
	var errs []error
	if u := types.ParseURIRef(c.Source); c.Source == "" || u == nil {
		errs = append(errs, errors.New("source: it is not a URI, such as urn:factro:cloud:acme"))
	}
	if !headerName.MatchString(c.Header) || slices.Contains(framing, http.CanonicalHeaderKey(c.Header)) {
		errs = append(errs, fmt.Errorf("header: %q is not the name of a header that can carry a secret, such as X-Bridge-Key", c.Header))
	}
	if len(c.Secrets) == 0 {
		errs = append(errs, errors.New("secrets: none is given; factro does not sign, so without a secret anybody could send events"))
	}
	for i, s := range c.Secrets {
		err := s.Validate()
		if err == nil && s.Value != "" {
			_, err = usable(s.Value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("secrets[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// headerName is a token by RFC 9110; net/http refuses requests with other names.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// framing are headers that net/http takes out of a request, so that a secret in them would never be seen.
var framing = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"}

// Limits on a connection. A webhook is a small request from a machine; who needs longer is not factro.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second // header and body
	answerTimeout = 5 * time.Second  // writing the answer, once it is known
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10

	// maxStoreTimeout keeps a sender from waiting longer than any sender does.
	maxStoreTimeout = 30 * time.Second
)
