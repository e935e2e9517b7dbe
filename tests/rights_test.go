package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// The permissions that deploy/nats/auth.conf gives to each role are enough for all that the roles do, with a server that
// reads this very file.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	f := startFactro(t, sim.Config{Delivery: sim.Delivery{Loss: 1}}) // so that there is something to reconcile
	js := g.prepare(f)
	g.giveUp(js)
	g.mirrored(f)
	bridges := map[string]*bridge{}
	for user, roles := range map[string]string{"ingress": "ingress", "egress": "egress, query", "reconcile": "reconcile", "mirror": "mirror"} {
		bridges[user] = g.bridge(f, user, roles, "false").start()
	}
	bridges["ingress"].register(f, "acme")
	// The command line has no role: it takes what the configuration says.
	command := func(user string, args ...string) string {
		t.Helper()
		text, err := os.ReadFile(bridges["ingress"].configFile)
		if err != nil {
			t.Fatal(err)
		}
		config := filepath.Join(t.TempDir(), user+".yaml")
		writeFile(t, config, strings.Replace(string(text), "nats: {", fmt.Sprintf("nats: {manage: false, nkey_file: %q, inbox_prefix: %q, api_prefix: %q, ",
			g.seeds[user], connections[user].inboxes, connections[user].api), 1))
		out, errOut, code := bridgeCommand(t, append(args, "--config", config)...)
		if code != 0 || strings.Contains(out+errOut, "ermission") {
			t.Errorf("%s as %s: exit code %d: %s%s", args[0], user, code, out, errOut)
		}
		return out
	}
	command("canary", "canary", "--cloud", "acme", "--webhook-url", bridges["ingress"].http+"/webhooks/acme")

	if status := bridges["ingress"].webhook(http.DefaultClient, "acme", "no JSON"); status != http.StatusBadRequest {
		t.Errorf("a body that is no JSON is answered with %d", status)
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	data := func(format string, args ...any) json.RawMessage { return fmt.Appendf(nil, format, args...) }
	client := events.NewClient(js, "acme")
	store, err := js.ObjectStore(ctx, "FACTRO_FILES_ACME")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutBytes(ctx, "plan", make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []payload.Generic{
		{Name: "createTask", Resource: "task", Data: data(`{"title":"Prüfung","targetParentId":%q}`, f.demo.Package)},
		{Name: "createProjectDocument", Resource: "project", Data: data(
			`{"projectId":%q,"file":{"name":"Plan","object":{"bucket":"FACTRO_FILES_ACME","name":"plan"}}}`, f.demo.Project)},
	} {
		if _, err := client.Do(ctx, cmd); err != nil {
			t.Errorf("%s: %v", cmd.Name, err)
		}
	}
	if _, err := client.Do(ctx, payload.Generic{Name: "createTask", Resource: "task", Data: data(`{}`)}); err == nil {
		t.Error("a command without its fields is carried out")
	}
	age := time.Duration(-1)
	answered, err := events.Ask(ctx, client, payload.GetProject{ProjectID: f.demo.Project}, fresh.MaxAge(time.Hour), fresh.OnAge(func(d time.Duration) { age = d }))
	if err != nil || answered.ID != f.demo.Project || age < 0 {
		t.Errorf("the mirror does not answer: %v of the age %s, %v", answered.ID, age, err)
	}
	g.noAnswer(ctx, f, client)
	// A command that is sent again after the stream has forgotten it: the ledger knows it.
	again := &nats.Msg{Subject: "factro.command.acme.task.createTask", Header: nats.Header{"Content-Type": {"application/cloudevents+json"}}, Data: data(
		`{"specversion":"1.0","id":"c-1","source":"urn:example","type":"com.factro.command.createTask","data":{"title":"einmal","targetParentId":%q}}`,
		f.demo.Package)}
	for range 2 {
		if _, err := js.PublishMsg(ctx, again); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "the dead letters of a webhook and of two commands, and an empty queue", func() bool {
		dead, err := js.Stream(ctx, "FACTRO_DEAD_ACME")
		queue, err2 := js.Stream(ctx, "FACTRO_COMMANDS_ACME")
		return errors.Join(err, err2) == nil && dead.CachedInfo().State.Msgs == 3 && queue.CachedInfo().State.Msgs == 0
	})
	if n := f.Count("task", func(o map[string]any) bool { return o["title"] == "einmal" }); n != 1 {
		t.Errorf("factro has %d tasks of one command", n)
	}
	(&asking{t: t, f: f}).fill()
	answer, err := client.Query(ctx, payload.Generic{Name: "listTasks", Resource: "task", Data: data("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, answer); err != nil || n < 1<<20 {
		t.Errorf("an answer of %d bytes: %v", n, err)
	}
	if err := answer.Close(); err != nil {
		t.Error(err)
	}
	fireMany(t, f)
	command("reconcile", "reconcile", "--cloud", "acme", "--since", "1h")
	got := eventsOf(t, js, true)
	maps.DeleteFunc(got, func(what string, _ int) bool { return strings.HasPrefix(what, events.ActionCanary) })
	if want, _ := happenings(f, true); !maps.Equal(got, want) {
		t.Errorf("the stream has %v, factro %v", got, want)
	}
	if _, err := js.Publish(ctx, "factro.command.other.task.createTask", []byte("{}")); !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("a command for a cloud that no bridge serves: %v", err)
	}
	for role, b := range bridges {
		if log := b.log.String(); strings.Contains(log, "Permissions Violation") {
			t.Errorf("%s lacks a permission:\n%s", role, log)
		}
	}
}

// mirrored has the owner make the mirror's copy of factro.
func (g *guarded) mirrored(f *factro) {
	g.t.Helper()
	b := g.bridge(f, "owner", "mirror", "true").start()
	waitFor(g.t, "the first copies are complete", func() bool { return g.copied("acme") && g.copied("beta") })
	if err := b.terminate(); err != nil {
		g.t.Fatal(err)
	}
}

// copied says whether the first copy of a cloud is complete. An earlier bridge may have made it.
func (g *guarded) copied(cloud string) bool {
	msg, err := g.owner.Request("factro.mirror."+cloud, []byte(`{"want":"status"}`), time.Second)
	var p state.Progress
	return err == nil && json.Unmarshal(msg.Data, &p) == nil && !p.Complete.IsZero()
}

// noAnswer has the answer to a create be lost. What others have made is in the ledger, and in the one of an older version.
func (g *guarded) noAnswer(ctx context.Context, f *factro, client *events.Client) {
	g.t.Helper()
	js, err := jetstream.New(g.owner)
	if err != nil {
		g.t.Fatal(err)
	}
	old, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "FACTRO_LEDGER"})
	if err == nil {
		_, err = old.PutString(ctx, "acme.x", `{"made":["other"]}`)
	}
	if err == nil {
		err = f.SetFaults(sim.Faults{{Kind: sim.FaultCutAfter, Operation: "createTask", Count: 1}})
	}
	if err != nil {
		g.t.Fatal(err)
	}
	r, err := client.Do(ctx, payload.CreateTask{Title: "ohne Antwort", TargetParentID: f.demo.Package})
	if err != nil || !r.Adopted {
		g.t.Errorf("a create without an answer: %+v, %v", r, err)
	}
}
