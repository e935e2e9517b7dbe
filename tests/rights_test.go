package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// The permissions that deploy/nats/auth.conf gives to each role are enough for all that the roles do, with a server that
// reads this very file.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile("../deploy/nats/auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	conf, seeds := string(text), map[string]string{}
	for _, role := range []string{"owner", "ingress", "egress", "reconcile", "canary"} {
		key, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, _ := key.PublicKey()
		seed, _ := key.Seed()
		seeds[role] = filepath.Join(dir, role+".nk")
		writeFile(t, seeds[role], string(seed))
		blank := "nkey: " + strings.ToUpper(role)
		if strings.Count(conf, blank) != 1 {
			t.Fatalf("auth.conf has no %q", blank)
		}
		conf = strings.Replace(conf, blank, "nkey: "+public, 1)
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

	f := startFactro(t, sim.Config{})
	as := func(user, roles, manage string) *bridge {
		return newBridge(t, bridgeConfig{
			nats: s.ClientURL(), clouds: map[string]string{"acme": f.url}, roles: roles,
			env: []string{"FACTRO_BRIDGE_NATS_NKEY_FILE=" + seeds[user], "FACTRO_BRIDGE_NATS_MANAGE=" + manage},
		})
	}
	js := ownerOf(t, s.ClientURL(), seeds["owner"])
	first := as("owner", "ingress, egress, query, reconcile", "true").start()
	waitFor(t, "the owner has made all buckets and consumers", func() bool {
		for _, stream := range []string{"KV_FACTRO_RECONCILE", "OBJ_FACTRO_FILES", "OBJ_FACTRO_ANSWERS", "FACTRO_ADVISORIES"} {
			if _, err := js.Stream(t.Context(), stream); err != nil {
				return false
			}
		}
		_, err := js.Consumer(t.Context(), "FACTRO_ADVISORIES", "egress-advisories")
		return err == nil
	})
	if err := first.terminate(); err != nil {
		t.Fatal(err)
	}

	bridges := map[string]*bridge{}
	for user, roles := range map[string]string{"ingress": "ingress", "egress": "egress, query", "reconcile": "reconcile"} {
		bridges[user] = as(user, roles, "false").start()
	}
	bridges["ingress"].register(f, "acme")
	// The command line has no role: it takes what the configuration says.
	command := func(user string, args ...string) string {
		t.Helper()
		text, err := os.ReadFile(bridges["ingress"].configFile)
		if err != nil {
			t.Fatal(err)
		}
		config := filepath.Join(dir, user+".yaml")
		writeFile(t, config, strings.Replace(string(text), "nats: {", fmt.Sprintf("nats: {manage: false, nkey_file: %q, ", seeds[user]), 1))
		out, errOut, code := bridgeCommand(t, append(args, "--config", config)...)
		if code != 0 {
			t.Errorf("%s as %s: exit code %d: %s%s", args[0], user, code, out, errOut)
		}
		return out
	}
	command("canary", "canary", "--webhook-url", bridges["ingress"].http+"/webhooks/acme")

	data := func(format string, args ...any) json.RawMessage { return fmt.Appendf(nil, format, args...) }
	client := events.NewClient(js, "acme")
	store, err := js.ObjectStore(t.Context(), "FACTRO_FILES")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutBytes(t.Context(), "plan", make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []events.Generic{
		{Name: "createTask", Resource: "task", Data: data(`{"title":"Prüfung","targetParentId":%q}`, f.demo.Package)},
		{Name: "createProjectDocument", Resource: "project", Data: data(
			`{"projectId":%q,"file":{"name":"Plan","object":{"bucket":"FACTRO_FILES","name":"plan"}}}`, f.demo.Project)},
	} {
		if _, err := client.Do(t.Context(), cmd); err != nil {
			t.Errorf("%s: %v", cmd.Name, err)
		}
	}
	if _, err := client.Do(t.Context(), events.Generic{Name: "createTask", Resource: "task", Data: data(`{}`)}); err == nil {
		t.Error("a command without its fields is carried out")
	}
	waitFor(t, "the dead letter", func() bool {
		dead, err := js.Stream(t.Context(), "FACTRO_DEAD")
		return err == nil && dead.CachedInfo().State.Msgs == 1
	})
	(&asking{t: t, f: f}).fill()
	answer, err := client.Query(t.Context(), events.Generic{Name: "listTasks", Resource: "task", Data: data("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, answer); err != nil || n < 1<<20 {
		t.Errorf("an answer of %d bytes: %v", n, err)
	}
	if err := answer.Close(); err != nil {
		t.Error(err)
	}
	if text := command("reconcile", "reconcile", "--since", "1h"); !strings.Contains(text, "missing") {
		t.Errorf("the report: %s", text)
	}
	for role, b := range bridges {
		if log := b.log.String(); strings.Contains(log, "Permissions Violation") {
			t.Errorf("%s lacks a permission:\n%s", role, log)
		}
	}
}

func ownerOf(t *testing.T, url, seed string) jetstream.JetStream {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
