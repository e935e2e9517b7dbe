package config

import (
	_ "embed"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
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
	// Mirror is for the role of this name.
	Mirror MirrorSettings `yaml:"mirror" envPrefix:"MIRROR_"`
	// KnownActionsFile has the names of factro's actions, one a line; with an empty one those that are public are known.
	KnownActionsFile string        `yaml:"known_actions_file" env:"KNOWN_ACTIONS_FILE"`
	Log              Log           `yaml:"log" envPrefix:"LOG_"`
	ShutdownTimeout  time.Duration `yaml:"shutdown_timeout" env:"SHUTDOWN_TIMEOUT"`

	path    string   // of the file, or ""
	offline bool     // whether other files are left unread
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
	Delayed   Bytes `yaml:"delayed" env:"DELAYED"`
	Keys      Bytes `yaml:"keys" env:"KEYS"`
	State     Bytes `yaml:"state" env:"STATE"`
	Changes   Bytes `yaml:"changes" env:"CHANGES"`
}

// Streams are the kinds of streams and buckets. Every cloud has one of each kind, except Control and
// Reconcile, which all clouds share.
type Streams struct {
	Events     Shape `yaml:"events" envPrefix:"EVENTS_"`
	Commands   Shape `yaml:"commands" envPrefix:"COMMANDS_"`
	Results    Shape `yaml:"results" envPrefix:"RESULTS_"`
	Dead       Shape `yaml:"dead" envPrefix:"DEAD_"`
	Ledger     Shape `yaml:"ledger" envPrefix:"LEDGER_"`
	Advisories Shape `yaml:"advisories" envPrefix:"ADVISORIES_"`
	Bridge     Shape `yaml:"bridge" envPrefix:"BRIDGE_"`
	Control    Shape `yaml:"control" envPrefix:"CONTROL_"`
	Reconcile  Shape `yaml:"reconcile" envPrefix:"RECONCILE_"`
	Files      Shape `yaml:"files" envPrefix:"FILES_"`
	Answers    Shape `yaml:"answers" envPrefix:"ANSWERS_"`
	Originals  Shape `yaml:"originals" envPrefix:"ORIGINALS_"`
	Delayed    Shape `yaml:"delayed" envPrefix:"DELAYED_"`
	Keys       Shape `yaml:"keys" envPrefix:"KEYS_"`
	State      Shape `yaml:"state" envPrefix:"STATE_"`
	Changes    Shape `yaml:"changes" envPrefix:"CHANGES_"`
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
		"advisories": s.Advisories, "bridge": s.Bridge, "control": s.Control, "reconcile": s.Reconcile, "files": s.Files, "answers": s.Answers, "originals": s.Originals, "delayed": s.Delayed, "keys": s.Keys,
		"state": s.State, "changes": s.Changes,
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
	// Policy says which commands are let through.
	Policy Policy `yaml:"policy" envPrefix:"POLICY_"`
	// OnDead says what a dead letter does to the commands behind it that change the same thing: continue or hold.
	OnDead string `yaml:"on_dead" env:"ON_DEAD"`
	// Batch says how many commands may be carried out by one call.
	Batch Batch `yaml:"batch" envPrefix:"BATCH_"`
}

// Batch is for commands of one kind that wait, and that factro can carry out together as a whole or not at all.
type Batch struct {
	// Max is how many may go with one call; 0 has each have a call of its own.
	Max int `yaml:"max" env:"MAX"`
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
	URL string        `yaml:"url" env:"URL"`
	Key secret.Source `yaml:"key" envPrefix:"KEY_"`
	// RequestsPerMinute bounds the calls of a cloud; 0 for as many as factro allows.
	RequestsPerMinute int `yaml:"requests_per_minute" env:"REQUESTS_PER_MINUTE"`
	// Reserve is the percentage of factro's budget that commands leave to queries and reconciliation.
	Reserve int           `yaml:"reserve" env:"RESERVE"`
	Timeout time.Duration `yaml:"timeout" env:"TIMEOUT"`
	// Concurrency is how many commands are carried out at once; 0 for as many as factro's answers need.
	Concurrency int `yaml:"concurrency" env:"CONCURRENCY"`
}

// What OnDead may be.
const (
	OnDeadContinue = "continue"
	OnDeadHold     = "hold"
)

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

	RoleMirror = "mirror" // copies factro's objects and publishes what changed
)

// defaultRoles leave out the mirror: it spends requests, and needs room at NATS.
var (
	defaultRoles = []string{RoleIngress, RoleEgress, RoleQuery, RoleReconcile}
	allRoles     = append(slices.Clone(defaultRoles), RoleMirror)
)

// Default is the configuration where neither file nor environment say anything else.
func Default() Config {
	return Config{
		HTTP: HTTP{
			Listen: ":8080", MaxBody: topology.DefaultPayload - topology.HeaderRoom, MaxInFlight: 256, StoreTimeout: 5 * time.Second,
			MaxConnections: 1000, MaxConnectionsPerAddress: 500, IdleTimeout: 11 * time.Minute, MaxHeader: 8 << 10,
		},
		Admin: Admin{Listen: "127.0.0.1:9090"},
		NATS: NATS{
			URL: "nats://127.0.0.1:4222", DialTimeout: time.Second, Prefix: events.DefaultPrefix, Replicas: 1, Manage: true,
			DuplicateWindow: topology.DefaultDuplicateWindow, MaxBytes: defaultMaxBytes(), ReplyPrefixes: []string{},
		},
		Spool:     Spool{MaxBytes: 1 << 30, DrainPerSecond: 1000},
		Reconcile: Reconcile{Every: 10 * time.Minute, Overlap: time.Hour, Grace: 5 * time.Minute, Actions: []string{}},
		Mirror:    defaultMirror(),
		Roles:     defaultRoles, ShutdownTimeout: 20 * time.Second,
	}
}

func defaultMaxBytes() MaxBytes {
	d := topology.DefaultSizes()
	return MaxBytes{
		Events: Bytes(d.Events), Commands: Bytes(d.Commands), Results: Bytes(d.Results), Dead: Bytes(d.Dead),
		Ledger: Bytes(d.Ledger), Files: Bytes(d.Files), Answers: Bytes(d.Answers), Originals: Bytes(d.Originals), Delayed: Bytes(d.Delayed), Keys: Bytes(d.Keys),
		State: Bytes(d.State), Changes: Bytes(d.Changes),
	}
}

// Settings of a cloud that says nothing else.
const (
	defaultAPI     = "https://cloud.factro.com/api/core"
	defaultReserve = 5
	defaultTimeout = 20 * time.Second
)

// How many commands are carried out at once: usually, raised while answers are slow, and as the most that can be configured.
const (
	usualConcurrency  = 8
	raisedConcurrency = 32
	mostConcurrency   = 256
	// mostBatched is the most commands of one call that can be configured.
	mostBatched = 100
)

// cloudName keeps a name usable as a token, in a consumer's name and in a key of the ledger.
var cloudName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Has says whether the process has a role.
func (c Config) Has(role string) bool { return slices.Contains(c.Roles, role) }

// Calls says whether this process calls the Core API.
func (c Config) Calls() bool {
	return c.Has(RoleEgress) || c.Has(RoleQuery) || c.Has(RoleReconcile) || c.Has(RoleMirror)
}
