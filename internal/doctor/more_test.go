package doctor_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/doctor"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// api is that of the simulated factro.
func (r *room) api() *doctor.CoreAPI {
	r.t.Helper()
	r.write("bridge.yaml", r.text, 0o600)
	checked, err := config.Check(r.file("bridge.yaml"), nil, true)
	if err != nil {
		r.t.Fatal(err)
	}
	api, err := doctor.NewCoreAPI(checked.Config, checked.Clouds[0], "test")
	if err != nil {
		r.t.Fatal(err)
	}
	return api
}

// relayed has the API of JetStream come through a relay that reports a consumer of the commands which has read further than its stream
// goes, as a server does whose store was restored.
func relayed(r *room) {
	r.t.Helper()
	nc, js := r.server.Connect(r.t)
	if _, err := js.CreateConsumer(r.t.Context(), "FACTRO_COMMANDS_ACME", jetstream.ConsumerConfig{
		Durable: "egress-acme", AckPolicy: jetstream.AckExplicitPolicy,
	}); err != nil {
		r.t.Fatal(err)
	}
	const prefix = "JS.relay.API."
	_, err := nc.Subscribe(prefix+">", func(m *nats.Msg) {
		go func() {
			answer, err := nc.Request("$JS.API."+strings.TrimPrefix(m.Subject, prefix), m.Data, 10*time.Second)
			if err != nil {
				return
			}
			if strings.HasPrefix(m.Subject, prefix+"CONSUMER.LIST.FACTRO_COMMANDS_ACME") {
				answer.Data = movedAhead(answer.Data)
			}
			_ = m.Respond(answer.Data)
		}()
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		r.t.Fatal(err)
	}
	r.more("nats: {", "nats: {api_prefix: JS.relay.API, ")
}

func movedAhead(answer []byte) []byte {
	var list map[string]any
	if json.Unmarshal(answer, &list) != nil {
		return answer
	}
	consumers, _ := list["consumers"].([]any)
	for _, c := range consumers {
		if info, ok := c.(map[string]any); ok {
			info["delivered"] = map[string]any{"consumer_seq": 77, "stream_seq": 77}
		}
	}
	out, err := json.Marshal(list)
	if err != nil {
		return answer
	}
	return out
}

// In a cluster, a stream with one copy is reported, and so is the setting.
func TestReplicas(t *testing.T) {
	t.Parallel()
	cluster := natstest.StartCluster(t)
	r := &room{t: t, dir: t.TempDir(), server: cluster.Members[0]}
	r.text = `
nats: {url: "` + cluster.Members[0].URL() + `"}
roles: [ingress]
clouds: [{name: acme, webhook: {header: X-Bridge-Key, secrets: [{value: ` + webhookSecret + `}]}}]
`
	r.in = doctor.Input{ConfigFile: r.file("bridge.yaml"), Disk: disk{free: 1 << 40}, Dial: doctor.Dial, Now: time.Now}
	_, js := cluster.Connect(t)
	for name, subject := range map[string]string{"FACTRO_EVENTS_ACME": "factro.event.acme.>", "FACTRO_RESULTS_ACME": "factro.result.acme.>"} {
		replicas := 1
		if name == "FACTRO_RESULTS_ACME" {
			replicas = 3
		}
		natstest.Eventually(t, "a stream", func() bool {
			_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Replicas: replicas})
			return err == nil
		})
	}
	got := resultOf(t, r.run("nats"), "nats-replicas")
	text := ""
	for _, f := range got.Findings {
		text += f.About + ": " + f.What + "\n"
	}
	if got.Level != doctor.Warning || !strings.Contains(text, "FACTRO_EVENTS_ACME: one server") || !strings.Contains(text, "nats.replicas: it is 1") ||
		strings.Contains(text, "FACTRO_RESULTS_ACME") {
		t.Errorf("%s:\n%s", got.Level, text)
	}
}

// The checks change nothing on NATS: no message, no stream, no consumer, no setting.
func TestChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t, settings{})
	r.more("", "roles: [ingress, egress, query, reconcile, mirror]")
	_, js := r.server.Connect(t)
	if _, err := js.CreateConsumer(t.Context(), "FACTRO_COMMANDS_ACME", jetstream.ConsumerConfig{
		Durable: "egress-acme", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "factro.command.acme.task.createTask", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		var all []any
		list := js.ListStreams(t.Context())
		for info := range list.Info() {
			s, err := js.Stream(t.Context(), info.Config.Name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, info.Config, info.State.Msgs, info.State.LastSeq, info.State.Consumers)
			for c := range s.ListConsumers(t.Context()).Info() {
				all = append(all, c.Config, c.Delivered.Stream, c.NumAckPending, c.NumPending, c.NumRedelivered, c.Created)
			}
		}
		text, err := json.Marshal(all)
		if err != nil || len(all) < 10 {
			t.Fatal(err, len(all))
		}
		return string(text)
	}
	before := state()
	report := r.run()
	if after := state(); after != before {
		t.Errorf("NATS was changed from\n%s\nto\n%s", before, after)
	}
	if got := resultOf(t, report, "nats-permissions"); got.Level != doctor.OK {
		t.Errorf("%+v", got)
	}
}

// What cannot be checked is unknown, and never good.
func TestUnknown(t *testing.T) {
	t.Parallel()
	r := newRoom(t, settings{bare: true})
	r.server.Stop()
	report := r.run("nats", "webhook")
	for _, c := range report.Checks {
		if c.Name != "nats-connect" && c.Level != doctor.Unknown {
			t.Errorf("without NATS %s is %s", c.Name, c.Level)
		}
	}
	r = newRoom(t, settings{bare: true})
	r.more("nats: {", "nats: {replicas: 9, ")
	for _, c := range r.run().Checks {
		if c.Name != "config-valid" && c.Name != "telemetry-endpoints" && c.Level != doctor.Unknown {
			t.Errorf("without a configuration %s is %s", c.Name, c.Level)
		}
	}
}
