package bus

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// allow changes the limits of the only account.
func allow(t testing.TB, b *broker, change func(*server.JetStreamAccountLimits)) {
	t.Helper()
	l := server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: 5 << 30, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}
	change(&l)
	if err := b.Running.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": l}); err != nil {
		t.Fatal(err)
	}
}

// TestRefusalsNameSettings: if the server refuses to make something, the error names the setting that helps.
func TestRefusalsNameSettings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		server func(*server.Options)
		limits func(*server.JetStreamAccountLimits)
		client func(*Config)
		want   string // empty: it works
	}{
		"duplicate window": {server: func(o *server.Options) { o.JetStreamLimits.Duplicates = time.Minute }, want: "lower nats.duplicate_window"},
		"duplicate window that fits": {
			server: func(o *server.Options) { o.JetStreamLimits.Duplicates = 5 * time.Minute },
			client: func(c *Config) { c.DuplicateWindow = 2 * time.Minute },
		},
		"too many streams":   {limits: func(l *server.JetStreamAccountLimits) { l.MaxStreams = 3 }, want: "the account allows no more streams"},
		"max_bytes required": {limits: func(l *server.JetStreamAccountLimits) { l.MaxBytesRequired = true }},
		"small streams":      {limits: func(l *server.JetStreamAccountLimits) { l.StoreMaxStreamBytes = 5 << 20 }},
		"tiny streams":       {limits: func(l *server.JetStreamAccountLimits) { l.StoreMaxStreamBytes = 1 << 20 }, want: "lower nats.max_bytes."},
		"no room":            {limits: func(l *server.JetStreamAccountLimits) { l.MaxStore = 2 << 20 }, want: "nats.max_bytes."},
		"no JetStream":       {server: func(o *server.Options) { o.JetStream = false }, want: "it has no JetStream, or not yet"},
		"no JetStream in the account": {server: func(o *server.Options) {
			with, without := server.NewAccount("with"), server.NewAccount("without")
			o.Accounts = []*server.Account{with, without}
			o.Users = []*server.User{{Username: "bridge", Password: "right", Account: without}}
		}, client: func(c *Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:right@", 1) }, want: "the account has no JetStream"},
		"no cluster":        {client: func(c *Config) { c.Replicas = 3 }, want: "set nats.replicas"},
		"no such domain":    {client: func(c *Config) { c.Domain = "elsewhere" }, want: "nats.domain"},
		"one kind is large": {client: func(c *Config) { c.Shapes = topology.Shapes{"dead": {Replicas: 3}} }, want: "nats.streams.dead.replicas to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.server == nil {
				tt.server = func(*server.Options) {}
			}
			broker := startBroker(t, tt.server)
			if tt.limits != nil {
				allow(t, broker, tt.limits)
			}
			if tt.client == nil {
				tt.client = func(*Config) {}
			}
			b := broker.connect(t, quiet(), tt.client)
			start(t, b.Run)
			if tt.want == "" {
				ready(t, b)
				storeEvent(t, b, "e-1")
				return
			}
			unready(t, b, tt.want)
		})
	}
}

// TestShapes: each kind is made as it is configured, and that is no difference.
func TestShapes(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	log, book := newLog()
	b := run(t, broker.connect(t, log, func(c *Config) {
		c.DuplicateWindow = 3 * time.Hour
		c.Shapes = topology.Shapes{"events": {MaxAge: 90 * 24 * time.Hour}, "results": {MaxAge: time.Hour, MaxMessages: 77}, "files": {MaxAge: 2 * 24 * time.Hour}}
	}))
	out := broker.outside(t)
	eventually(t, "the object store is made", func() bool {
		_, err := out.js.Stream(t.Context(), "OBJ_FACTRO_FILES_ACME")
		return err == nil
	})
	if c := out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config; c.MaxAge != 90*24*time.Hour || c.Duplicates != 3*time.Hour {
		t.Errorf("events: %s, %s", c.MaxAge, c.Duplicates)
	}
	if c := out.stream("FACTRO_RESULTS_ACME").CachedInfo().Config; c.MaxAge != time.Hour || c.MaxMsgs != 77 || c.Duplicates != time.Hour {
		t.Errorf("results: %s, %d, %s", c.MaxAge, c.MaxMsgs, c.Duplicates)
	}
	if c := out.stream("OBJ_FACTRO_FILES_ACME").CachedInfo().Config; c.MaxAge != 2*24*time.Hour {
		t.Errorf("files: %s", c.MaxAge)
	}
	b.Recheck()
	if book.count("differs from the contract") != 0 {
		t.Errorf("the log is\n%s", book)
	}
}

func TestValidateShapes(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"nats.duplicate_window":             func(c *Config) { c.DuplicateWindow = time.Second },
		"nats.streams.events.replicas":      func(c *Config) { c.Shapes = topology.Shapes{"events": {Replicas: 6}} },
		"nats.streams.commands.max_age":     func(c *Config) { c.Shapes = topology.Shapes{"commands": {MaxAge: time.Hour}} },
		"nats.streams.ledger.max_age":       func(c *Config) { c.Shapes = topology.Shapes{"ledger": {MaxAge: time.Hour}} },
		"nats.streams.files.max_messages":   func(c *Config) { c.Shapes = topology.Shapes{"files": {MaxMessages: 5}} },
		"nats.streams.results.max_messages": func(c *Config) { c.Shapes = topology.Shapes{"results": {MaxMessages: -1}} },
		"nats.streams.dead.cluster":         func(c *Config) { c.Shapes = topology.Shapes{"dead": {Cluster: "a b"}} },
		"nats: user_file and password_file": func(c *Config) { c.User.Value = "x" },
		"nats: domain and api_prefix":       func(c *Config) { c.Domain, c.APIPrefix = "a", "b" },
		"nats.domain":                       func(c *Config) { c.Domain = "a.b" },
		"nats.dial_timeout":                 func(c *Config) { c.DialTimeout = time.Hour },
	} {
		cfg := (&broker{&natstest.Server{Options: server.Options{Port: 4222}}}).config()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
