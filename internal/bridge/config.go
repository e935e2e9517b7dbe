package bridge

import (
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/egress"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Sample is a configuration file with a comment on every setting.
//
//go:embed sample.yaml
var Sample []byte

// EnvPrefix stands before the name of each setting's environment variable: FACTRO_BRIDGE_NATS_URL is nats.url,
// FACTRO_BRIDGE_CLOUDS_0_NAME is the name of the first cloud. A variable wins over the file.
const EnvPrefix = "FACTRO_BRIDGE_"

// Config is the configuration file.
type Config struct {
	HTTP   HTTP     `yaml:"http" envPrefix:"HTTP_"`
	Admin  Admin    `yaml:"admin" envPrefix:"ADMIN_"`
	NATS   NATS     `yaml:"nats" envPrefix:"NATS_"`
	Spool  Spool    `yaml:"spool" envPrefix:"SPOOL_"`
	Roles  []string `yaml:"roles" env:"ROLES"`
	Clouds []Cloud  `yaml:"clouds" envPrefix:"CLOUDS_"`
	// Reconcile is for the role of this name.
	Reconcile Reconcile `yaml:"reconcile" envPrefix:"RECONCILE_"`
	// KnownActionsFile has the names of factro's actions, one a line; with an empty one those that are public are known.
	KnownActionsFile string        `yaml:"known_actions_file" env:"KNOWN_ACTIONS_FILE"`
	Log              Log           `yaml:"log" envPrefix:"LOG_"`
	ShutdownTimeout  time.Duration `yaml:"shutdown_timeout" env:"SHUTDOWN_TIMEOUT"`

	path    string   // of the file, or ""
	offline bool     // whether no other file is to be read
	unknown []string // variables of the environment that look like settings and are none
}

// HTTP is for the webhook server.
type HTTP struct {
	Listen       string        `yaml:"listen" env:"LISTEN"`
	TLS          ServerTLS     `yaml:"tls" envPrefix:"TLS_"`
	MaxBody      Bytes         `yaml:"max_body" env:"MAX_BODY"`
	MaxInFlight  int           `yaml:"max_in_flight" env:"MAX_IN_FLIGHT"`
	MaxMemory    Bytes         `yaml:"max_memory" env:"MAX_MEMORY"` // 0: a part of the process's limit
	StoreTimeout time.Duration `yaml:"store_timeout" env:"STORE_TIMEOUT"`

	MaxConnections           int           `yaml:"max_connections" env:"MAX_CONNECTIONS"`
	MaxConnectionsPerAddress int           `yaml:"max_connections_per_address" env:"MAX_CONNECTIONS_PER_ADDRESS"`
	IdleTimeout              time.Duration `yaml:"idle_timeout" env:"IDLE_TIMEOUT"`
	MaxHeader                Bytes         `yaml:"max_header" env:"MAX_HEADER"`
	// PathPrefix is what a proxy leaves before /webhooks.
	PathPrefix string `yaml:"path_prefix" env:"PATH_PREFIX"`
}

// Admin is for the server of the operators.
type Admin struct {
	Listen string `yaml:"listen" env:"LISTEN"`
}

// NATS says which server to use.
type NATS struct {
	URL       string `yaml:"url" env:"URL"`
	CredsFile string `yaml:"creds_file" env:"CREDS_FILE"`
	NkeyFile  string `yaml:"nkey_file" env:"NKEY_FILE"`
	// UserFile and PasswordFile hold a user's name and password.
	UserFile     string  `yaml:"user_file" env:"USER_FILE"`
	PasswordFile string  `yaml:"password_file" env:"PASSWORD_FILE"`
	TLS          bus.TLS `yaml:"tls" envPrefix:"TLS_"`
	// DialTimeout is for one server. IgnoreDiscoveredServers keeps to those of URL.
	DialTimeout             time.Duration `yaml:"dial_timeout" env:"DIAL_TIMEOUT"`
	IgnoreDiscoveredServers bool          `yaml:"ignore_discovered_servers" env:"IGNORE_DISCOVERED_SERVERS"`
	// InboxPrefix, APIPrefix and Domain are for a connection that may hear its own inboxes only, or whose account has JetStream
	// from another one or from another domain.
	InboxPrefix string   `yaml:"inbox_prefix" env:"INBOX_PREFIX"`
	APIPrefix   string   `yaml:"api_prefix" env:"API_PREFIX"`
	Domain      string   `yaml:"domain" env:"DOMAIN"`
	Embedded    Embedded `yaml:"embedded" envPrefix:"EMBEDDED_"`
	Prefix      string   `yaml:"prefix" env:"PREFIX"`
	Replicas    int      `yaml:"replicas" env:"REPLICAS"`
	Manage      bool     `yaml:"manage" env:"MANAGE"`
	MaxBytes    MaxBytes `yaml:"max_bytes" envPrefix:"MAX_BYTES_"`
	// Streams says how each kind of stream and bucket is made, DuplicateWindow how long the streams recognise a message id.
	Streams         Streams       `yaml:"streams" envPrefix:"STREAMS_"`
	DuplicateWindow time.Duration `yaml:"duplicate_window" env:"DUPLICATE_WINDOW"`
	// ReplyPrefixes are what the subjects begin with, beside inboxes, to which copies of results and answers may go.
	ReplyPrefixes []string `yaml:"reply_prefixes" env:"REPLY_PREFIXES"`
}

// MaxBytes bounds what the streams and buckets of each cloud may hold. JetStream reserves it.
type MaxBytes struct {
	Events    Bytes `yaml:"events" env:"EVENTS"`
	Commands  Bytes `yaml:"commands" env:"COMMANDS"`
	Results   Bytes `yaml:"results" env:"RESULTS"`
	Dead      Bytes `yaml:"dead" env:"DEAD"`
	Ledger    Bytes `yaml:"ledger" env:"LEDGER"`
	Files     Bytes `yaml:"files" env:"FILES"`
	Answers   Bytes `yaml:"answers" env:"ANSWERS"`
	Originals Bytes `yaml:"originals" env:"ORIGINALS"`
}

// Streams are the kinds of streams and buckets, each of which every cloud has; but for Reconcile, which all share.
type Streams struct {
	Events     Shape `yaml:"events" envPrefix:"EVENTS_"`
	Commands   Shape `yaml:"commands" envPrefix:"COMMANDS_"`
	Results    Shape `yaml:"results" envPrefix:"RESULTS_"`
	Dead       Shape `yaml:"dead" envPrefix:"DEAD_"`
	Ledger     Shape `yaml:"ledger" envPrefix:"LEDGER_"`
	Advisories Shape `yaml:"advisories" envPrefix:"ADVISORIES_"`
	Reconcile  Shape `yaml:"reconcile" envPrefix:"RECONCILE_"`
	Files      Shape `yaml:"files" envPrefix:"FILES_"`
	Answers    Shape `yaml:"answers" envPrefix:"ANSWERS_"`
	Originals  Shape `yaml:"originals" envPrefix:"ORIGINALS_"`
}

// Shape says how the streams of a kind are made, beside their size. A zero stands for the default.
type Shape struct {
	MaxAge      time.Duration `yaml:"max_age" env:"MAX_AGE"`
	MaxMessages int64         `yaml:"max_messages" env:"MAX_MESSAGES"`
	Replicas    int           `yaml:"replicas" env:"REPLICAS"`
	// Cluster and Tags say which servers may hold them.
	Cluster string   `yaml:"cluster" env:"CLUSTER"`
	Tags    []string `yaml:"tags" env:"TAGS"`
}

func (s Streams) shapes() topology.Shapes {
	shapes := topology.Shapes{}
	for name, k := range map[string]Shape{
		"events": s.Events, "commands": s.Commands, "results": s.Results, "dead": s.Dead, "ledger": s.Ledger,
		"advisories": s.Advisories, "reconcile": s.Reconcile, "files": s.Files, "answers": s.Answers, "originals": s.Originals,
	} {
		shapes[name] = topology.Shape{MaxAge: k.MaxAge, MaxMessages: k.MaxMessages, Replicas: k.Replicas, Cluster: k.Cluster, Tags: k.Tags}
	}
	return shapes
}

// Embedded is for a NATS server inside the bridge, used if a data directory is given.
type Embedded struct {
	DataDir string `yaml:"data_dir" env:"DATA_DIR"`
	Listen  string `yaml:"listen" env:"LISTEN"`
}

// Spool is where webhooks wait on the local disk while NATS takes none, used if a directory is given.
type Spool struct {
	Dir            string `yaml:"dir" env:"DIR"`
	MaxBytes       Bytes  `yaml:"max_bytes" env:"MAX_BYTES"`
	DrainPerSecond int    `yaml:"drain_per_second" env:"DRAIN_PER_SECOND"`
}

// Cloud is one factro cloud.
type Cloud struct {
	Name    string  `yaml:"name" env:"NAME"`
	Source  string  `yaml:"source" env:"SOURCE"`
	Webhook Webhook `yaml:"webhook" envPrefix:"WEBHOOK_"`
	API     API     `yaml:"api" envPrefix:"API_"`
}

// Webhook says how a cloud's webhooks prove themselves.
type Webhook struct {
	Header  string          `yaml:"header" env:"HEADER"`
	Secrets []secret.Source `yaml:"secrets" envPrefix:"SECRETS_"`
	// URL is what was entered at factro as the webhooks' URL; empty if reconciliation is to find it out.
	URL string `yaml:"url" env:"URL"`
}

// Reconcile says when the stream of events is compared with what factro has stored, and how far back.
type Reconcile struct {
	Every   time.Duration `yaml:"every" env:"EVERY"`
	Overlap time.Duration `yaml:"overlap" env:"OVERLAP"`
	Grace   time.Duration `yaml:"grace" env:"GRACE"`
	Actions []string      `yaml:"actions" env:"ACTIONS"`
}

// API says how a cloud's Core API is called.
type API struct {
	URL               string        `yaml:"url" env:"URL"`
	Key               secret.Source `yaml:"key" envPrefix:"KEY_"`
	RequestsPerMinute int           `yaml:"requests_per_minute" env:"REQUESTS_PER_MINUTE"`
	Timeout           time.Duration `yaml:"timeout" env:"TIMEOUT"`
}

// Log is for the log.
type Log struct {
	Level slog.Level `yaml:"level" env:"LEVEL"`
	// Format is text or json; empty: text on a terminal, else json.
	Format string `yaml:"format" env:"FORMAT"`
}

// Roles that a process can have, so that each can be deployed and scaled alone.
const (
	RoleIngress = "ingress" // takes webhooks
	RoleEgress  = "egress"  // carries out commands
	RoleQuery   = "query"   // answers queries

	RoleReconcile = "reconcile" // finds the events that the stream lacks
)

var allRoles = []string{RoleIngress, RoleEgress, RoleQuery, RoleReconcile}

// Default is the configuration where neither file nor environment say anything else.
func Default() Config {
	return Config{
		HTTP: HTTP{
			Listen: ":8080", MaxBody: bus.DefaultPayload - bus.HeaderRoom, MaxInFlight: 256, StoreTimeout: 5 * time.Second,
			MaxConnections: 1000, MaxConnectionsPerAddress: 500, IdleTimeout: 11 * time.Minute, MaxHeader: 8 << 10,
		},
		Admin: Admin{Listen: "127.0.0.1:9090"},
		NATS: NATS{
			URL: "nats://127.0.0.1:4222", DialTimeout: time.Second, Prefix: events.DefaultPrefix, Replicas: 1, Manage: true,
			DuplicateWindow: topology.DefaultDuplicateWindow, MaxBytes: defaultMaxBytes(), ReplyPrefixes: []string{},
		},
		Spool:     Spool{MaxBytes: 1 << 30, DrainPerSecond: 1000},
		Reconcile: Reconcile{Every: 10 * time.Minute, Overlap: time.Hour, Grace: 5 * time.Minute, Actions: []string{}},
		Roles:     allRoles, ShutdownTimeout: 20 * time.Second,
	}
}

func defaultMaxBytes() MaxBytes {
	d := topology.DefaultSizes()
	return MaxBytes{
		Events: Bytes(d.Events), Commands: Bytes(d.Commands), Results: Bytes(d.Results), Dead: Bytes(d.Dead),
		Ledger: Bytes(d.Ledger), Files: Bytes(d.Files), Answers: Bytes(d.Answers), Originals: Bytes(d.Originals),
	}
}

// Settings of a cloud that says nothing else.
const (
	defaultAPI               = "https://cloud.factro.com/api/core"
	defaultRequestsPerMinute = 480 // of 500
	defaultTimeout           = 20 * time.Second
)

// Load reads a configuration file, or none if path is empty, and the environment, and validates what comes out.
func Load(path string, environ []string) (Config, error) {
	text, err := readConfig(path, environ)
	if err != nil {
		return Config{}, err
	}
	c := Default()
	c.path = path
	return c.load(path, text, environ)
}

// errNoConfig is told in place of what is missing in a configuration that is not there.
var errNoConfig = errors.New("there is no configuration: no file is named, and no variable begins with " + EnvPrefix +
	"; \"bridge config sample\" prints a file to begin with")

func readConfig(path string, environ []string) ([]byte, error) {
	if path == "" {
		if !slices.ContainsFunc(environ, func(v string) bool {
			name, _, _ := strings.Cut(v, "=")
			return strings.HasPrefix(name, EnvPrefix) && !ofKubernetes.MatchString(name)
		}) {
			return nil, errNoConfig
		}
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return text, nil
}

func (c Config) load(path string, text []byte, environ []string) (Config, error) {
	c, wrong, err := c.read(text, environ)
	if err == nil {
		err = wrong.err()
	}
	if err != nil {
		return Config{}, fmt.Errorf("%s:\n%w", origin(path), err)
	}
	return c, nil
}

// origin says where a configuration comes from.
func origin(path string) string {
	if path == "" {
		return "configuration from the environment"
	}
	return "configuration " + path
}

// read reads the file's text and the environment, and says everything that is wrong with them. Its error is one of the form of
// the file.
func (c Config) read(text []byte, environ []string) (Config, *complaints, error) {
	doc, err := readDocument(text, &c)
	if err != nil {
		return c, nil, err
	}
	wrong := &complaints{doc: doc, environ: env.ToMap(environ), all: doc.mistakes}
	wrong.readEnvironment(&c)
	c.unknown = unknownVariables(&c, wrong.environ)
	for i := range c.Clouds {
		c.Clouds[i].setDefaults()
	}
	wrong.add(c.Validate())
	if c.calls() {
		wrong.add(checkProxies(environ))
	}
	return c, wrong, nil
}

func (c *Cloud) setDefaults() {
	if c.Source == "" {
		c.Source = "urn:factro:cloud:" + c.Name
	}
	if c.API.URL == "" {
		c.API.URL = defaultAPI
	}
	if c.API.RequestsPerMinute == 0 {
		c.API.RequestsPerMinute = defaultRequestsPerMinute
	}
	if c.API.Timeout == 0 {
		c.API.Timeout = defaultTimeout
	}
}

// cloudName keeps a name usable as a token, in a consumer's name and in a key of the ledger.
var cloudName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (c Config) has(role string) bool { return slices.Contains(c.Roles, role) }

// calls says whether this process calls the Core API.
func (c Config) calls() bool { return c.has(RoleEgress) || c.has(RoleQuery) || c.has(RoleReconcile) }

// The rooms' configurations, made of the file's.

func (c Config) bus(s *embedded.Server) bus.Config {
	b := bus.Config{
		URL: c.NATS.URL, Name: "factro-bridge", CredsFile: c.NATS.CredsFile, NkeyFile: c.NATS.NkeyFile, TLS: c.NATS.TLS,
		User: secret.Source{File: c.NATS.UserFile}, Password: secret.Source{File: c.NATS.PasswordFile},
		DialTimeout: c.NATS.DialTimeout, IgnoreDiscovered: c.NATS.IgnoreDiscoveredServers,
		InboxPrefix: c.NATS.InboxPrefix, APIPrefix: c.NATS.APIPrefix, Domain: c.NATS.Domain,
		Prefix: events.Prefix(c.NATS.Prefix), Replicas: c.NATS.Replicas, Manage: c.NATS.Manage,
		ReplyPrefixes: c.NATS.ReplyPrefixes, Shapes: c.NATS.Streams.shapes(), DuplicateWindow: c.NATS.DuplicateWindow,
		Takes: c.has(RoleIngress), Carries: c.has(RoleEgress), Server: s, DrainTimeout: c.ShutdownTimeout,
	}
	m := c.NATS.MaxBytes
	b.MaxBytes = topology.Sizes{
		Events: int64(m.Events), Commands: int64(m.Commands), Results: int64(m.Results), Dead: int64(m.Dead),
		Ledger: int64(m.Ledger), Files: int64(m.Files), Answers: int64(m.Answers), Originals: int64(m.Originals),
	}
	for _, cloud := range c.Clouds {
		b.Clouds = append(b.Clouds, cloud.Name)
	}
	if c.NATS.Embedded.DataDir != "" {
		b.URL = "nats://embedded"
	}
	return b
}

// spool is that of a process that takes webhooks; others have none.
func (c Config) spool() bus.SpoolConfig {
	if !c.has(RoleIngress) {
		return bus.SpoolConfig{}
	}
	return bus.SpoolConfig{Dir: c.Spool.Dir, MaxBytes: int64(c.Spool.MaxBytes), DrainPerSecond: c.Spool.DrainPerSecond}
}

// knownActions is the operator's list of factro's actions.
func (c Config) knownActions() ([]string, error) {
	if c.KnownActionsFile == "" || c.offline {
		return nil, nil
	}
	text, err := os.ReadFile(c.KnownActionsFile)
	if err != nil {
		return nil, fmt.Errorf("known_actions_file: %w", err)
	}
	names, err := factro.ReadActions(string(text))
	if err != nil {
		return nil, fmt.Errorf("known_actions_file: %s: %w", c.KnownActionsFile, err)
	}
	return names, nil
}

func (c Config) ingress() ingress.Config {
	out := ingress.Config{
		Prefix: events.Prefix(c.NATS.Prefix), MaxBody: int64(c.HTTP.MaxBody), MaxInFlight: c.HTTP.MaxInFlight,
		MaxMemory: c.webhookMemory(0), StoreTimeout: c.HTTP.StoreTimeout, IdleTimeout: c.HTTP.IdleTimeout,
		MaxHeader: int(c.HTTP.MaxHeader), PathPrefix: c.HTTP.PathPrefix,
		MaxConnections: c.HTTP.MaxConnections, MaxConnectionsPerAddress: c.HTTP.MaxConnectionsPerAddress,
	}
	for _, cloud := range c.Clouds {
		out.Clouds = append(out.Clouds, ingress.Cloud{
			Name: cloud.Name, Source: cloud.Source, Header: cloud.Webhook.Header, Secrets: cloud.Webhook.Secrets,
		})
	}
	return out
}

// Parts of the process's memory that webhooks get if nobody says how much: an eighth, since what is stored is in memory more
// than once, as a body, as an event and on its way. Without a limit it is what the chart's limit would give.
const memoryPart, usualMemory = 8, 256 << 20

// webhookMemory is how much memory webhooks may take, of a process that may use so much; 0 if nobody limits it.
func (c Config) webhookMemory(limit int64) int64 {
	if c.HTTP.MaxMemory > 0 {
		return int64(c.HTTP.MaxMemory)
	}
	if limit == 0 {
		limit = usualMemory
	}
	return max(limit/memoryPart, ingress.LeastMemory(int64(c.HTTP.MaxBody)))
}

func (c Config) egress(cloud Cloud, version string) egress.Config {
	return egress.Config{
		Cloud: cloud.Name, Prefix: events.Prefix(c.NATS.Prefix), URL: cloud.API.URL, Key: cloud.API.Key, Hidden: cloud.Webhook.Secrets,
		RequestsPerMinute: cloud.API.RequestsPerMinute, Timeout: cloud.API.Timeout, UserAgent: "factro-bridge/" + version,
		ReplyPrefixes: c.NATS.ReplyPrefixes,
	}
}

func (c Config) reconcile(cloud Cloud) reconcile.Config {
	return reconcile.Config{
		Cloud: cloud.Name, Source: cloud.Source, Prefix: events.Prefix(c.NATS.Prefix), Timing: c.Reconcile.timing(),
		Actions: c.Reconcile.Actions, Callback: cloud.Webhook.URL,
	}
}

func (r Reconcile) timing() reconcile.Timing {
	return reconcile.Timing{Every: r.Every, Overlap: r.Overlap, Grace: r.Grace}
}

// prefixed puts the path of a group before each of its mistakes.
func prefixed(prefix string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(prefix + strings.ReplaceAll(err.Error(), "\n", "\n"+prefix))
}
