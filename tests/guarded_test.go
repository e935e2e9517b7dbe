package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// guarded is a NATS server that reads deploy/nats/auth.conf, its examples too, and the keys of the users that stand there.
type guarded struct {
	t     *testing.T
	url   string
	seeds map[string]string // user -> file
}

// example is a line of a user that is an example.
var example = regexp.MustCompile(`(?m)^    # (\{nkey: |  |\}\})`)

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile("../deploy/nats/auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	conf, g := example.ReplaceAllString(string(text), "    $1"), &guarded{t: t, seeds: map[string]string{}}
	for _, user := range []string{"owner", "ingress", "egress", "reconcile", "canary", "sender", "subscriber", "asker"} {
		key, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, _ := key.PublicKey()
		seed, _ := key.Seed()
		g.seeds[user] = filepath.Join(dir, user+".nk")
		writeFile(t, g.seeds[user], string(seed))
		blank := "{nkey: " + strings.ToUpper(user)
		if strings.Count(conf, "\n    "+blank) != 1 {
			t.Fatalf("auth.conf has no %q", blank)
		}
		conf = strings.Replace(conf, blank, "{nkey: "+public, 1)
	}
	writeFile(t, filepath.Join(dir, "auth.conf"), conf)
	main := filepath.Join(dir, "nats.conf")
	writeFile(t, main, "port: -1\nhost: 127.0.0.1\njetstream: {store_dir: "+filepath.Join(dir, "js")+"}\ninclude ./auth.conf\n")
	opts, err := server.ProcessConfigFile(main)
	if err != nil {
		t.Fatal(err)
	}
	opts.NoLog, opts.NoSigs = true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	g.url = s.ClientURL()
	return g
}

// connect connects as a user.
func (g *guarded) connect(user string, opts ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	g.t.Helper()
	key, err := nats.NkeyOptionFromSeed(g.seeds[user])
	if err != nil {
		g.t.Fatal(err)
	}
	nc, err := nats.Connect(g.url, append(opts, key)...)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		g.t.Fatal(err)
	}
	return nc, js
}

// bridge is one that is not started yet, for the cloud acme.
func (g *guarded) bridge(f *factro, user, roles, manage string) *bridge {
	g.t.Helper()
	return newBridge(g.t, bridgeConfig{
		nats: g.url, clouds: map[string]string{"acme": f.url}, roles: roles, more: quickly,
		env: []string{"FACTRO_BRIDGE_NATS_NKEY_FILE=" + g.seeds[user], "FACTRO_BRIDGE_NATS_MANAGE=" + manage},
	})
}

// prepare has the owner make all that there is to be made, as at the first start.
func (g *guarded) prepare(f *factro) jetstream.JetStream {
	g.t.Helper()
	_, js := g.connect("owner")
	first := g.bridge(f, "owner", "ingress, egress, query, reconcile", "true").start()
	waitFor(g.t, "the owner has made all buckets and consumers", func() bool {
		for _, stream := range []string{"KV_FACTRO_RECONCILE", "OBJ_FACTRO_FILES_ACME", "OBJ_FACTRO_ANSWERS_ACME", "FACTRO_ADVISORIES_ACME"} {
			if _, err := js.Stream(g.t.Context(), stream); err != nil {
				return false
			}
		}
		_, err := js.Consumer(g.t.Context(), "FACTRO_ADVISORIES_ACME", "egress-advisories")
		return err == nil
	})
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
		told, err := js.Stream(ctx, "FACTRO_ADVISORIES_ACME")
		return err == nil && told.CachedInfo().State.Msgs == 1
	})
	reading.Stop()
	<-reading.Closed()
	limit(-1)
}
