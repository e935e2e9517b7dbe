package dial

import (
	"cmp"
	"regexp"
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
	// Mirrors says that the process copies factro's objects. Only then are the streams for that made.
	Mirrors bool
	// Server, if set, is an embedded server that is reached in process instead of by URL.
	Server *embedded.Server
	// DrainTimeout bounds how long a command in flight may go on after the bridge got the signal to stop.
	DrainTimeout time.Duration
}

// Rhythm is how a connection is watched and made again.
type Rhythm struct{ ReconnectWait, Jitter, PingInterval time.Duration }

// DefaultRhythm notices a server that has fallen silent after three pings, 15 seconds, unless a publish or a check of the
// streams does before.
var DefaultRhythm = Rhythm{ReconnectWait: 500 * time.Millisecond, Jitter: 500 * time.Millisecond, PingInterval: 5 * time.Second}

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

// Options are those that all connections to the configured servers have. opened is as in credentials.
func (c Config) Options(opened func() *nats.Conn) ([]nats.Option, error) {
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

// JetStream is JetStream where its API is.
func (c Config) JetStream(nc *nats.Conn) (jetstream.JetStream, error) {
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
