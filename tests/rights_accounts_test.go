package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// detour is a request that makes JetStream publish somewhere: by its reply subject, or by a consumer's deliver_subject.
type detour struct{ subject, body string }

// detours are what a user may be able to ask for.
func detours(api string) []detour {
	return []detour{
		{api + ".DIRECT.GET.FACTRO_RESULTS_ACME", `{"seq":999999}`},
		{api + ".DIRECT.GET.FACTRO_RESULTS_ACME", `{"seq":1}`},
		{api + ".DIRECT.GET.OBJ_FACTRO_ANSWERS_ACME", `{"seq":999999}`},
		{api + ".DIRECT.GET.FACTRO_EVENTS_ACME.factro.event.acme.bridge.none.BridgeCanary", ""},
		{api + ".CONSUMER.INFO.FACTRO_EVENTS_ACME.mirror", ""},
		{api + ".CONSUMER.MSG.NEXT.FACTRO_EVENTS_ACME.mirror", `{"batch":1,"no_wait":true}`},
		{api + ".CONSUMER.MSG.NEXT.FACTRO_EVENTS_ACME.mirror", `{"batch":5,"expires":100000000}`},
		{api + ".STREAM.INFO.FACTRO_EVENTS_ACME", ""},
		{api + ".STREAM.INFO.KV_FACTRO_STATE_ACME", ""},
		{api + ".DIRECT.GET.KV_FACTRO_STATE_ACME.$KV.FACTRO_STATE_ACME.acme.task.secret-acme", ""},
		{api + ".DIRECT.GET.KV_FACTRO_STATE_ACME.$KV.FACTRO_STATE_ACME.acme.task.none", ""},
		{api + ".CONSUMER.MSG.NEXT.FACTRO_CHANGES_ACME.search", `{"batch":5,"expires":100000000}`},
		{"$JS.ACK.FACTRO_CHANGES_ACME.search.1.1.1.1.0", "+NXT"},
		{"$JS.ACK.FACTRO_EVENTS_ACME.mirror.1.1.1.1.0", "+NXT"},
		{"factro.command.acme.task.createTask", `{"title":"x"}`},
		{"factro.command.acme.bridge.canary", ""},
		{"factro.query.acme.user.getUserQuota", ""},
		{"factro.query.acme.task.listTasks", ""},
		{"factro.query.acme.status", ""},
		{"factro.event.acme.task.1.TaskCreated", `{}`},
	}
}

// targets are where nothing of a stranger's is to come.
var targets = []string{
	"$JS.API.STREAM.DELETE.FACTRO_EVENTS_BETA", "$JS.API.STREAM.DELETE.KV_FACTRO_LEDGER_ACME", "$JS.API.STREAM.PURGE.FACTRO_RESULTS_BETA",
	"$JS.API.CONSUMER.DELETE.FACTRO_COMMANDS_BETA.egress-beta", "$KV.FACTRO_LEDGER_BETA.x", "$KV.FACTRO_RECONCILE.beta",
	"$KV.FACTRO_STATE_BETA.beta.task.x", "factro.change.beta.task.1.updated",
	"factro.command.beta.task.createTask", "factro.redrive.beta.task.createTask", "factro.result.beta.task.createTask.applied",
	"factro.event.beta.task.1.TaskCreated", "factro.dead.command.beta.task.createTask", "_INBOX.beta-billing.x", "_INBOX.egress.x",
}

// snapshot tells what the streams of beta and the shared ones hold, and all consumers.
func snapshot(t *testing.T, js jetstream.JetStream) map[string]string {
	t.Helper()
	out := map[string]string{}
	streams := js.ListStreams(t.Context())
	for s := range streams.Info() {
		stream, err := js.Stream(t.Context(), s.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		consumers := stream.ConsumerNames(t.Context())
		for name := range consumers.Name() {
			names = append(names, name)
		}
		slices.Sort(names)
		out[s.Config.Name] = strings.Join(names, " ")
		if strings.HasSuffix(s.Config.Name, "_BETA") || !strings.HasSuffix(s.Config.Name, "_ACME") {
			out[s.Config.Name] += fmt.Sprintf(" %d [%d..%d]", s.State.Msgs, s.State.FirstSeq, s.State.LastSeq)
		}
	}
	if err := streams.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whoever has an account of its own gets JetStream to publish nothing elsewhere, and learns nothing of what is not theirs.
// Beside them beta works.
func TestDetoursRefused(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	js := g.prepare(startFactro(t, sim.Config{}))
	owner := js.Conn()
	for _, cloud := range []string{"acme", "beta"} {
		for _, subject := range []string{
			"factro.event." + cloud + ".task.secret-" + cloud + ".TaskCreated", "factro.result." + cloud + ".task.createTask.applied",
			"factro.change." + cloud + ".task.secret-" + cloud + ".created", "$KV.FACTRO_STATE_" + strings.ToUpper(cloud) + "." + cloud + ".task.secret-" + cloud,
		} {
			if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	spy := map[string]*nats.Subscription{}
	for _, target := range targets {
		if !strings.HasPrefix(target, "$JS.") {
			continue
		}
		sub, err := owner.SubscribeSync(target) // a consumer with this deliver_subject has somebody to deliver to, then
		if err != nil {
			t.Fatal(err)
		}
		spy[target] = sub
	}
	before := snapshot(t, js)
	for _, user := range []string{"ingress", "canary", "sender", "subscriber", "asker", "reader"} {
		nc, _ := g.connect(user, quietly())
		for _, api := range []string{"$JS.API", "JS.factro.API"} {
			for _, target := range targets {
				for _, d := range detours(api) {
					if err := nc.PublishRequest(d.subject, target, []byte(d.body)); err != nil {
						t.Fatal(err)
					}
				}
				for _, stream := range []string{"FACTRO_EVENTS_ACME", "FACTRO_RESULTS_ACME", "OBJ_FACTRO_ANSWERS_ACME", "FACTRO_EVENTS_BETA", "KV_FACTRO_STATE_ACME", "FACTRO_CHANGES_ACME"} {
					body, err := json.Marshal(map[string]any{"stream_name": stream, "config": map[string]any{
						"name": "x", "durable_name": "x", "deliver_subject": target, "deliver_policy": "all", "ack_policy": "none",
					}})
					if err != nil {
						t.Fatal(err)
					}
					for _, create := range []string{".CONSUMER.CREATE." + stream, ".CONSUMER.CREATE." + stream + ".x", ".CONSUMER.DURABLE.CREATE." + stream + ".x"} {
						if err := nc.PublishRequest(api+create, nc.NewInbox(), body); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			// What reveals beta, or of all of acme.
			for _, d := range []detour{
				{".STREAM.INFO.FACTRO_EVENTS_BETA", `{"subjects_filter":">"}`},
				{".STREAM.NAMES", ""},
				{".STREAM.LIST", ""},
				{".CONSUMER.NAMES.FACTRO_EVENTS_BETA", ""},
				{".CONSUMER.LIST.FACTRO_EVENTS_ACME", ""},
				{".CONSUMER.INFO.FACTRO_EVENTS_BETA.mirror", ""},
				{".DIRECT.GET.FACTRO_EVENTS_BETA", `{"seq":1}`},
				{".DIRECT.GET.FACTRO_RESULTS_BETA", `{"seq":1}`},
				{".DIRECT.GET.FACTRO_EVENTS_BETA.factro.event.beta.task.secret-beta.TaskCreated", ""},
				{".STREAM.MSG.GET.FACTRO_EVENTS_BETA", `{"seq":1}`},
				{".STREAM.INFO.KV_FACTRO_STATE_BETA", ""},
				{".DIRECT.GET.KV_FACTRO_STATE_BETA.$KV.FACTRO_STATE_BETA.beta.task.secret-beta", ""},
				{".CONSUMER.MSG.NEXT.FACTRO_CHANGES_BETA.search", `{"batch":1,"no_wait":true}`},
				{".CONSUMER.MSG.NEXT.FACTRO_EVENTS_BETA.mirror", `{"batch":1,"no_wait":true}`},
			} {
				answer, err := nc.Request(api+d.subject, []byte(d.body), 100*time.Millisecond)
				if user == "ingress" && d.subject == ".STREAM.INFO.FACTRO_EVENTS_BETA" { // it takes webhooks of beta, too
					continue
				}
				if err == nil && (strings.Contains(string(answer.Data), "beta") || strings.Contains(answer.Header.Get("Nats-Subject"), "beta") ||
					strings.Contains(string(answer.Data), "FACTRO")) {
					t.Errorf("%s learns by %s: %s %s", user, d.subject, answer.Header, answer.Data)
				}
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := owner.Flush(); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, js); !maps.Equal(before, after) {
		t.Errorf("before:\n%v\nafter:\n%v", before, after)
	}
	for target, sub := range spy {
		if msg, err := sub.NextMsg(100 * time.Millisecond); err == nil {
			t.Errorf("%s came to %s", msg.Data, target)
		}
	}
}

// Why there are accounts: inside of one, a user who may do no more than read one stream can delete another, by the reply
// subject of a request, and one who may make consumers can have them publish for others. If this fails, the server has
// changed, and auth.conf and SECURITY.md can say less.
func TestOneAccountDoesNotHold(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "owner", Password: "a"}, {Username: "reader", Password: "b", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.DIRECT.GET.MINE", "$JS.API.CONSUMER.CREATE.MINE.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.reader.>"}},
		}}}
	})
	connect := func(user, password string) (*nats.Conn, jetstream.JetStream) {
		return s.Connect(t, nats.UserInfo(user, password), nats.CustomInboxPrefix("_INBOX."+user), quietly())
	}
	owner, js := connect("owner", "a")
	for _, name := range []string{"MINE", "THEIRS", "COMMANDS"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: []string{strings.ToLower(name) + ".>"}, AllowDirect: true,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(t.Context(), "mine.x", []byte("a forged command")); err != nil {
		t.Fatal(err)
	}
	reader, _ := connect("reader", "b")
	stored := func(name string) func() bool {
		return func() bool {
			stream, err := js.Stream(t.Context(), name)
			return err == nil && stream.CachedInfo().State.Msgs > 0
		}
	}
	if err := reader.PublishRequest("$JS.API.DIRECT.GET.MINE", "commands.x", []byte(`{"seq":1}`)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the reader has stored a message in another stream", stored("COMMANDS"))
	if err := reader.PublishRequest("$JS.API.DIRECT.GET.MINE", "$JS.API.STREAM.DELETE.COMMANDS", []byte(`{"seq":999}`)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the reader has deleted another stream", func() bool {
		_, err := js.Stream(t.Context(), "COMMANDS")
		return errors.Is(err, jetstream.ErrStreamNotFound)
	})
	if _, err := owner.SubscribeSync("theirs.x"); err != nil { // somebody listens
		t.Fatal(err)
	}
	if err := owner.Flush(); err != nil {
		t.Fatal(err)
	}
	answer, err := reader.Request("$JS.API.CONSUMER.CREATE.MINE.x",
		[]byte(`{"stream_name":"MINE","config":{"name":"x","deliver_subject":"theirs.x","deliver_policy":"all","ack_policy":"none"}}`), patience)
	if err != nil || strings.Contains(string(answer.Data), `"error"`) {
		t.Fatalf("%s, %v", answer.Data, err)
	}
	waitFor(t, "a consumer of the reader's has stored a message in another stream", stored("THEIRS"))
}
