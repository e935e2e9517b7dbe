package tests

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/tests/authconf"
)

// guarded is a NATS server that reads deploy/nats/auth.conf, its examples too, and the keys of the users that stand there. It
// is for the clouds acme and beta: what the file has for acme it has for beta, too, and beta has programs of its own.
type guarded struct {
	t     *testing.T
	url   string
	seeds map[string]string // user -> file
	owner *nats.Conn
}

// roles are the users of the bridge, programs those of a cloud; those of beta are beta-sender and so on.
var (
	roleUsers    = []string{"owner", "ingress", "egress", "reconcile", "mirror", "canary"}
	programUsers = []string{"sender", "subscriber", "asker", "reader", "tracer"}
)

// connections are the settings of a user's connection.
var connections = map[string]struct{ inboxes, api string }{
	"ingress":    {api: "JS.factro.API"},
	"egress":     {inboxes: "_INBOX.egress"},
	"reconcile":  {inboxes: "_INBOX.reconcile"},
	"mirror":     {inboxes: "_INBOX.mirror"},
	"canary":     {"_INBOX.canary", "JS.factro.API"},
	"sender":     {"_INBOX.billing", "JS.factro.API"},
	"subscriber": {api: "JS.factro.API"},
	"asker":      {api: "JS.factro.API"},
	"reader":     {api: "JS.factro.API"},
	"tracer":     {api: "JS.factro.API"},
}

var (
	// ofAcme is a line that is needed for each cloud.
	ofAcme = regexp.MustCompile(`(?m)^ *[^ #].*(?:acme|ACME).*\n`)
	// accountName is the name of an account of a program.
	accountName = regexp.MustCompile(`(?m)^  ([A-Z]+) \{`)
	toBeta      = strings.NewReplacer("acme", "beta", "ACME", "BETA", "_INBOX.billing", "_INBOX.beta-billing")
)

// twoClouds makes the configuration of the file.
func twoClouds(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../deploy/nats/auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	roles, programs, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(string(text)), "}"), "  # Programs of yours")
	if !ok {
		t.Fatal("auth.conf has no programs")
	}
	roles = ofAcme.ReplaceAllStringFunc(roles, func(line string) string { return line + toBeta.Replace(line) })
	programs = authconf.WithExamples("  #" + programs)
	ofBeta := accountName.ReplaceAllString(toBeta.Replace(programs), "  BETA_$1 {")
	for _, user := range programUsers {
		ofBeta = strings.Replace(ofBeta, "{nkey: "+strings.ToUpper(user), "{nkey: BETA-"+strings.ToUpper(user), 1)
	}
	return roles + programs + ofBeta + "}\n"
}

func startGuarded(t *testing.T, change ...func(conf string) string) *guarded {
	t.Helper()
	dir := t.TempDir()
	conf, g := twoClouds(t), &guarded{t: t}
	for _, c := range change {
		conf = c(conf)
	}
	conf, g.seeds = authconf.WithKeys(t, conf)
	for _, user := range slices.Concat(roleUsers, programUsers) {
		if g.seeds[user] == "" {
			t.Fatalf("auth.conf has no %s", user)
		}
	}
	writeFile(t, filepath.Join(dir, "auth.conf"), conf)
	main := filepath.Join(dir, "nats.conf")
	writeFile(t, main, "jetstream: {store_dir: "+filepath.Join(dir, "js")+"}\ninclude ./auth.conf\n")
	g.url = natstest.StartConfig(t, main).URL()
	g.owner, _ = g.connect("owner")
	return g
}

// connect connects as a user.
func (g *guarded) connect(user string, opts ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	g.t.Helper()
	key, err := nats.NkeyOptionFromSeed(g.seeds[user])
	if err != nil {
		g.t.Fatal(err)
	}
	c := connections[strings.TrimRight(strings.TrimPrefix(user, "beta-"), "0123456789")]
	if strings.HasPrefix(user, "beta-") {
		c.inboxes = toBeta.Replace(c.inboxes)
	}
	if c.inboxes != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.inboxes))
	}
	nc, err := nats.Connect(g.url, append(opts, key)...)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(nc.Close)
	js, err := jetstream.NewWithAPIPrefix(nc, cmp.Or(c.api, "$JS.API"))
	if err != nil {
		g.t.Fatal(err)
	}
	return nc, js
}

// bridge is one that is not started yet, for the clouds acme and beta.
func (g *guarded) bridge(f *factro, user, roles, manage string) *bridge {
	g.t.Helper()
	return newBridge(g.t, bridgeConfig{
		nats: g.url, clouds: map[string]string{"acme": f.url, "beta": f.url}, roles: roles, more: quickly,
		env: []string{
			"FACTRO_BRIDGE_NATS_NKEY_FILE=" + g.seeds[user], "FACTRO_BRIDGE_NATS_MANAGE=" + manage,
			"FACTRO_BRIDGE_NATS_INBOX_PREFIX=" + connections[user].inboxes, "FACTRO_BRIDGE_NATS_API_PREFIX=" + connections[user].api,
		},
	})
}

// prepare has the owner make all that there is to be made, as at the first start.
func (g *guarded) prepare(f *factro) jetstream.JetStream {
	g.t.Helper()
	js, err := jetstream.New(g.owner)
	if err != nil {
		g.t.Fatal(err)
	}
	first := g.bridge(f, "owner", "ingress, egress, query, reconcile, mirror", "true").start()
	waitFor(g.t, "the owner has made all buckets and consumers", func() bool {
		for _, cloud := range []string{"ACME", "BETA"} {
			for _, stream := range []string{
				"KV_FACTRO_RECONCILE", "OBJ_FACTRO_FILES_" + cloud, "OBJ_FACTRO_ANSWERS_" + cloud, "KV_FACTRO_STATE_" + cloud, "FACTRO_CHANGES_" + cloud,
			} {
				if _, err := js.Stream(g.t.Context(), stream); err != nil {
					return false
				}
			}
			if _, err := js.Consumer(g.t.Context(), "FACTRO_ADVISORIES_"+cloud, "egress-advisories"); err != nil {
				return false
			}
			if _, err := js.Consumer(g.t.Context(), "FACTRO_COMMANDS_"+cloud, "egress-"+strings.ToLower(cloud)); err != nil {
				return false
			}
		}
		return true
	})
	for _, cloud := range []string{"acme", "beta"} { // as the lines in auth.conf do
		for stream, c := range map[string]struct{ name, filter string }{
			prefix.EventStream(cloud):    {"mirror", "factro.event." + cloud + ".task.*.TaskCreated"},
			change.Stream(prefix, cloud): {"search", "factro.change." + cloud + ".task.>"},
		} {
			if _, err := js.CreateConsumer(g.t.Context(), stream, jetstream.ConsumerConfig{
				Durable: c.name, FilterSubject: c.filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxAckPending: 1, MaxDeliver: -1,
			}); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	if err := first.terminate(); err != nil {
		g.t.Fatal(err)
	}
	return js
}

// giveUp has an operator's limit of deliveries make the broker give a command up, and takes the limit away again.
func (g *guarded) giveUp(js jetstream.JetStream) {
	g.t.Helper()
	ctx := g.t.Context()
	limit := func(deliveries int) jetstream.Consumer {
		c, err := js.Consumer(ctx, "FACTRO_COMMANDS_ACME", "egress-acme")
		if err != nil {
			g.t.Fatal(err)
		}
		cfg := c.CachedInfo().Config
		cfg.MaxDeliver = deliveries
		if c, err = js.UpdateConsumer(ctx, "FACTRO_COMMANDS_ACME", cfg); err != nil {
			g.t.Fatal(err)
		}
		return c
	}
	reading, err := limit(1).Consume(func(msg jetstream.Msg) { _ = msg.Nak() })
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "factro.command.acme.task.createTask", []byte("{}")); err != nil {
		g.t.Fatal(err)
	}
	waitFor(g.t, "the broker has given a command up", func() bool {
		advisories, err := js.Stream(ctx, "FACTRO_ADVISORIES_ACME")
		return err == nil && advisories.CachedInfo().State.Msgs == 1
	})
	reading.Stop()
	<-reading.Closed()
	limit(-1)
}
