package bus

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Config says which NATS server to use and how its streams are made.
type Config struct {
	// URL is the server's address, or several separated by commas. Unused if Server is embedded and reached in process.
	URL string
	// Name is how the connection calls itself to the server's operator.
	Name string
	// CredsFile, NkeyFile, and User with Password are alternative credentials. They and the files of TLS are read again at every reconnect, so each
	// may be replaced.
	CredsFile, NkeyFile string
	User, Password      secret.Source
	TLS                 TLS
	// Files are what all of these belong to. If it is nil, they are read all the same.
	Files *lastgood.Files
	// InboxPrefix is what the inboxes of the connection begin with, or "" for _INBOX. APIPrefix is where the API of JetStream
	// is, or "" for $JS.API: an account that has it from another one may have it elsewhere. Domain is the JetStream domain to
	// use instead, as behind a leaf node.
	InboxPrefix, APIPrefix, Domain string
	// DialTimeout bounds the dial of one server; 0 for the default.
	DialTimeout time.Duration
	// IgnoreDiscovered keeps to the servers of URL, also if these name others of their cluster.
	IgnoreDiscovered bool
	// Prefix is the first token of all subjects and, in capitals, of all streams.
	Prefix events.Prefix
	// Clouds are the clouds that the process works for. Each has streams and buckets of its own.
	Clouds []string
	// MaxBytes bounds what each of them may hold. A zero stands for the default.
	MaxBytes topology.Sizes
	// Replicas is the number of servers that hold each stream.
	Replicas int
	// Shapes says more of how each kind is made. DuplicateWindow is how long a stream recognises a message id; 0 for the default.
	Shapes          topology.Shapes
	DuplicateWindow time.Duration
	// Manage lets the bridge create missing streams and consumers, and take over the streams of an older version. Without
	// it, it only binds to what is there.
	Manage bool
	// ReplyPrefixes are what the reply subjects of queries begin with that are no inboxes.
	ReplyPrefixes []string
	// Takes and Carries say what the process does: it takes in webhooks, it carries out commands. Without Manage, readiness
	// is about the streams that this needs.
	Takes, Carries bool
	// Server, if set, is an embedded server that is reached in process instead of by URL.
	Server *embedded.Server
	// DrainTimeout bounds how long a command in hand may go on after the bridge was told to stop.
	DrainTimeout time.Duration

	rhythm rhythm
}

// rhythm is how the connection is watched and made again. Tests have shorter times.
type rhythm struct{ reconnectWait, jitter, pingInterval time.Duration }

// defaultRhythm notices a server that has fallen silent after three pings, 15 seconds, unless a publish or a look at the
// streams does before.
var defaultRhythm = rhythm{reconnectWait: 500 * time.Millisecond, jitter: 500 * time.Millisecond, pingInterval: 5 * time.Second}

// TLS are the files for a connection by TLS. Empty means the system's trust and no client certificate.
type TLS struct {
	CAFile   string `yaml:"ca_file" env:"CA_FILE"`
	CertFile string `yaml:"cert_file" env:"CERT_FILE"`
	KeyFile  string `yaml:"key_file" env:"KEY_FILE"`
	// HandshakeFirst begins with the TLS handshake, before the server introduces itself, for servers that are set so.
	HandshakeFirst bool `yaml:"handshake_first" env:"HANDSHAKE_FIRST"`
}

// prefixForm keeps the prefix usable as a token, a stream's name and a bucket's name at once.
var prefixForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// subjectForm is a subject without wildcards.
var subjectForm = regexp.MustCompile(`^[^\s.*>]+(\.[^\s.*>]+)*$`)

const (
	// dialTimeout bounds a dial. It is short: a cluster may name servers that nobody reaches from here, and each is tried.
	dialTimeout = time.Second
	// greetTimeout bounds what follows a dial: TLS, the server's greeting, and its word on the credentials.
	greetTimeout = 5 * time.Second
)

func (c Config) dialTimeout() time.Duration { return cmp.Or(c.DialTimeout, dialTimeout) }

// options are those that all connections to the configured servers have. opened is as in credentials.
func (c Config) options(opened func() *nats.Conn) ([]nats.Option, error) {
	opts := []nats.Option{nats.Name(c.Name), nats.Timeout(greetTimeout), nats.SkipHostLookup()}
	if c.TLS.HandshakeFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	if c.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	if c.IgnoreDiscovered {
		opts = append(opts, nats.IgnoreDiscoveredServers())
	}
	who, err := c.credentials(opened)
	return append(opts, who...), err
}

// jetStream is JetStream where its API is.
func (c Config) jetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	switch {
	case c.APIPrefix != "":
		return jetstream.NewWithAPIPrefix(nc, c.APIPrefix)
	case c.Domain != "":
		return jetstream.NewWithDomain(nc, c.Domain)
	}
	return jetstream.New(nc)
}

// Plan is what the operator wants of the streams and buckets.
func (c Config) Plan() topology.Plan {
	return topology.Plan{Prefix: c.Prefix, Sizes: c.MaxBytes, Shapes: c.Shapes, Replicas: c.Replicas, DuplicateWindow: c.DuplicateWindow}
}

// APIRoot is what the subjects of the API of JetStream begin with.
func (c Config) APIRoot() string {
	if c.Domain != "" {
		return "$JS." + c.Domain + ".API"
	}
	return cmp.Or(c.APIPrefix, DefaultAPI)
}

// DefaultAPI is where the API of JetStream is unless somebody says otherwise.
const DefaultAPI = "$JS.API"

// API is the subject of a request to the API of JetStream.
func (c Config) API(request string) string { return c.APIRoot() + "." + request }

// checkAddresses says what is wrong with the addresses of servers. It quotes nothing of what may be a user or a password.
func checkAddresses(all string) error {
	var errs []error
	parts := strings.Split(all, ",")
	for n, address := range parts {
		err := checkAddress(address)
		// The rest of a password with a comma looks like an address with a token.
		if err == nil && n > 0 && strings.Contains(address, "@") && !strings.Contains(address, "://") && !strings.Contains(parts[n-1], "@") {
			err = errAddress
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("nats.url: address %d, %s: %w", n+1, secret.Address(address), err))
		}
	}
	if len(errs) > 0 && strings.Contains(all, "@") && len(parts) > 1 {
		// A part of a password could be taken for a host.
		return fmt.Errorf("nats.url: %s: %w", secret.Address(all), errAddress)
	}
	other := func(address string) bool { return isWebsocket(address) != isWebsocket(parts[0]) }
	if len(errs) == 0 && slices.ContainsFunc(parts, other) {
		return fmt.Errorf("nats.url: %w", errMixed)
	}
	return errors.Join(errs...)
}

// Errors of addresses that can be read and are of no use.
var (
	errMixed  = errors.New("addresses with ws:// or wss:// and others are mixed; all of them are of one kind")
	errScheme = errors.New("an address begins with nats://, tls://, ws:// or wss://")
	errMore   = errors.New("nobody reads what stands behind the port; TLS is asked for with tls:// or nats.tls")
)

func isWebsocket(address string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(address)), "://")
	return scheme == "ws" || scheme == "wss"
}

// checkAddress says what is wrong with a server's address. It quotes nothing of it.
func checkAddress(address string) error {
	address = strings.TrimSpace(address)
	if !strings.Contains(address, "://") {
		address = "nats://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User == nil && strings.Contains(address, "@") {
		return errAddress
	}
	if err := secret.CheckPort(u.Host); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
		return errScheme
	case u.RawQuery != "" || u.Fragment != "" || !isWebsocket(address) && u.Path != "" && u.Path != "/":
		return errMore
	}
	return nil
}

// Validate reports every mistake.
func (c Config) Validate() error {
	errs := []error{c.validateConnection()}
	if !prefixForm.MatchString(string(c.Prefix)) {
		errs = append(errs, fmt.Errorf("nats.prefix: %q is not of the form [a-z0-9][a-z0-9-]*", c.Prefix))
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		errs = append(errs, fmt.Errorf("nats.replicas: %d is not between 1 and 5", c.Replicas))
	}
	errs = append(errs, c.Plan().Validate())
	if c.DrainTimeout <= 0 {
		errs = append(errs, fmt.Errorf("shutdown_timeout: %s is not positive", c.DrainTimeout))
	}
	return errors.Join(errs...)
}

// validateConnection reports every mistake in what is needed to connect.
func (c Config) validateConnection() error {
	var errs []error
	if c.URL == "" && c.Server == nil {
		errs = append(errs, errors.New("nats.url: is empty; give a server's address such as nats://127.0.0.1:4222, or nats.embedded"))
	}
	if c.URL != "" && c.Server == nil {
		if err := checkAddresses(c.URL); err != nil {
			errs = append(errs, err)
		}
	}
	if user := strings.Contains(c.URL, "@"); user && (c.CredsFile != "" || c.NkeyFile != "") { // the client sends both, or only the user
		errs = append(errs, errors.New("nats: creds_file or nkey_file is set, and nats.url has a user or a token; one kind of credentials is enough"))
	}
	if c.CredsFile != "" && c.NkeyFile != "" {
		errs = append(errs, errors.New("nats: creds_file and nkey_file are both set; one of them is enough"))
	}
	switch {
	case c.User.IsZero() != c.Password.IsZero():
		errs = append(errs, errors.New("nats: user_file and password_file belong together; one of them is empty"))
	case !c.User.IsZero() && (c.CredsFile != "" || c.NkeyFile != ""):
		errs = append(errs, errors.New("nats: user_file is set beside creds_file or nkey_file; one kind of credentials is enough"))
	case !c.User.IsZero() && strings.Contains(c.URL, "@"):
		errs = append(errs, errors.New("nats: user_file is set, and nats.url has a user; one of them is enough"))
	}
	if c.Domain != "" && c.APIPrefix != "" {
		errs = append(errs, errors.New("nats: domain and api_prefix are both set; a domain has the API at $JS.<domain>.API"))
	}
	if c.Domain != "" && strings.ContainsAny(c.Domain, " \t\r\n.*>") {
		errs = append(errs, fmt.Errorf("nats.domain: %q is no name without blanks, dots and wildcards", c.Domain))
	}
	if c.DialTimeout < 0 || c.DialTimeout > time.Minute {
		errs = append(errs, fmt.Errorf("nats.dial_timeout: %s is not between 0 and 1m", c.DialTimeout))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("nats.tls: cert_file and key_file belong together; one of them is empty"))
	}
	for setting, value := range map[string]string{"nats.inbox_prefix": c.InboxPrefix, "nats.api_prefix": c.APIPrefix} {
		if value != "" && !subjectForm.MatchString(value) {
			errs = append(errs, fmt.Errorf("%s: %q is not of the form _INBOX.name, without blanks, wildcards and a dot at the end", setting, value))
		}
	}
	return errors.Join(errs...)
}
