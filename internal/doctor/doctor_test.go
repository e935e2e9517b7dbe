package doctor_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/inspect"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/doctor"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
)

// find is a case in which a check finds something.
type find struct {
	check, name string
	level       doctor.Level
	want        string // in what was found
	set         settings
	spoil       func(*room)
}

func text(old, now string) func(*room) { return func(r *room) { r.more(old, now) } }

// editStream changes the configuration of a stream.
func editStream(name string, change func(*jetstream.StreamConfig)) func(*room) {
	return func(r *room) {
		r.t.Helper()
		_, js := r.server.Connect(r.t)
		s, err := js.Stream(r.t.Context(), name)
		if err != nil {
			r.t.Fatal(err)
		}
		c := s.CachedInfo().Config
		change(&c)
		if _, err := js.UpdateStream(r.t.Context(), c); err != nil {
			r.t.Fatal(err)
		}
	}
}

func dropStream(r *room, name string) jetstream.JetStream {
	r.t.Helper()
	_, js := r.server.Connect(r.t)
	if err := js.DeleteStream(r.t.Context(), name); err != nil {
		r.t.Fatal(err)
	}
	return js
}

// limited gives the account of the connection limits. Without the streams of a bridge, which need more.
func limited(limits server.JetStreamAccountLimits) func(*room) {
	return func(r *room) {
		r.t.Helper()
		if err := r.server.Running.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// user has the connection use a user with a password.
func user(permissions *server.Permissions) settings {
	return settings{bare: true, nats: func(o *server.Options) {
		o.Users = []*server.User{{Username: "bridge", Password: natsPassword, Permissions: permissions}}
	}}
}

func asUser(r *room) {
	r.write("user", "bridge", 0o600)
	r.write("password", natsPassword, 0o600)
	r.more("nats: {", fmt.Sprintf("nats: {user_file: %q, password_file: %q, ", r.file("user"), r.file("password")))
}

func token(end time.Time) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, end.Unix())) + ".c2ln"
}

func faults(all ...sim.Fault) settings { return settings{sim: sim.Config{Faults: all}} }

// finds has a case for each check, and more for those that find several things.
var finds = []find{
	{check: "config-valid", level: doctor.Problem, want: "nats.replicas: 9 is not", spoil: text("nats: {", "nats: {replicas: 9, ")},
	{check: "config-valid", name: "unknown setting", level: doctor.Problem, want: "colour", spoil: text("", "colour: blue")},
	{check: "config-hints", level: doctor.Warning, want: "it has no path", spoil: text(`/api/core"`, `"`)},
	{check: "config-header", level: doctor.Warning, want: "X_Bridge_Key", spoil: text("X-Bridge-Key", "X_Bridge_Key")},
	{check: "config-idle", level: doctor.Note, want: "closed after 30s", spoil: text("", "http: {idle_timeout: 30s}")},

	{check: "secret-text", level: doctor.Note, want: "byte order mark", spoil: func(r *room) { r.write("secret", "\ufeff"+webhookSecret, 0o600) }},
	{check: "secret-text", name: "blanks", level: doctor.Note, want: "blanks or empty lines", spoil: func(r *room) { r.write("secret", "  "+webhookSecret+"\n\n", 0o600) }},
	{check: "secret-text", name: "umlaut", level: doctor.Problem, want: "not ASCII", spoil: func(r *room) { r.write("key", apiKey+"ä", 0o600) }},
	{check: "secret-text", name: "UTF-16", level: doctor.Problem, want: "UTF-16", spoil: func(r *room) { r.write("secret", "\xff\xfeg\x00h\x00", 0o600) }},
	{check: "secret-text", name: "missing", level: doctor.Problem, want: "no such file", spoil: func(r *room) { _ = os.Remove(r.file("secret")) }},
	{check: "secret-modes", level: doctor.Warning, want: "0644", spoil: func(r *room) { r.write("key", apiKey, 0o644) }},
	{check: "certificates", level: doctor.Problem, want: "in 3 days", spoil: served(72*time.Hour + time.Minute)},
	{check: "certificates", name: "20 days", level: doctor.Warning, want: "in 20 days", spoil: served(480 * time.Hour)},
	{check: "certificates", name: "expired", level: doctor.Problem, want: "has expired", spoil: served(-time.Hour)},
	{check: "certificates", name: "other key", level: doctor.Problem, want: "does not fit", spoil: func(r *room) {
		served(9000 * time.Hour)(r)
		r.certificate("other", 9000*time.Hour)
		r.more("web.key", "other.key")
	}},
	{check: "spool-dir", level: doctor.Warning, want: "no spool", spoil: func(r *room) { r.more("spool: {dir: \""+r.file("spool")+"\"}", `spool: {dir: ""}`) }},
	{check: "spool-dir", name: "open to all", level: doctor.Warning, want: "0755", spoil: func(r *room) { _ = os.Chmod(r.file("spool"), 0o755) }},
	{check: "spool-dir", name: "file", level: doctor.Problem, want: "no directory", spoil: func(r *room) {
		_ = os.Remove(r.file("spool"))
		r.write("spool", "", 0o600)
	}},
	{check: "spool-dir", name: "missing", level: doctor.Note, want: "does not exist", spoil: func(r *room) { _ = os.Remove(r.file("spool")) }},
	{check: "spool-disk", level: doctor.Warning, want: "in memory", spoil: func(r *room) { r.in.Disk = disk{1 << 40, "tmpfs"} }},
	{check: "spool-disk", name: "network", level: doctor.Warning, want: "on the network", spoil: func(r *room) { r.in.Disk = disk{1 << 40, "nfs"} }},
	{check: "spool-space", level: doctor.Warning, want: "has 500 MiB left", spoil: func(r *room) { r.in.Disk = disk{500 << 20, ""} }},
	{check: "spool-space", name: "full", level: doctor.Problem, want: "has 5 MiB left", spoil: func(r *room) { r.in.Disk = disk{5 << 20, ""} }},

	{check: "nats-connect", level: doctor.Problem, want: "connection refused", spoil: func(r *room) { r.server.Stop() }},
	{check: "nats-connect", name: "wrong password", level: doctor.Problem, want: "refuses the credentials", set: user(nil), spoil: func(r *room) {
		asUser(r)
		r.write("password", natsPassword+"x", 0o600)
	}},
	{check: "nats-version", level: doctor.Note, want: "2.11.8, and delayed commands", spoil: ofVersion("2.11.8")},
	{check: "nats-version", name: "too old", level: doctor.Problem, want: "2.10.29, and streams", spoil: ofVersion("2.10.29")},
	{check: "nats-jetstream", level: doctor.Problem, want: "no JetStream", set: settings{bare: true, nats: func(o *server.Options) { o.JetStream = false }}},
	{check: "nats-jetstream", name: "domain", level: doctor.Problem, want: "nats.domain", spoil: text("nats: {", "nats: {domain: hub, ")},
	{check: "nats-account", level: doctor.Problem, want: "may have 3 streams", set: settings{bare: true}, spoil: limited(server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: -1, MaxStreams: 3, MaxConsumers: -1,
	})},
	{check: "nats-account", name: "room", level: doctor.Warning, want: "may store 300 MiB", set: settings{bare: true}, spoil: limited(server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: 300 << 20, MaxStreams: -1, MaxConsumers: -1,
	})},
	{check: "nats-account", name: "one stream", level: doctor.Warning, want: "nats.max_bytes.events is 1024 MiB", set: settings{bare: true}, spoil: limited(server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, StoreMaxStreamBytes: 600 << 20,
	})},
	{check: "nats-permissions", level: doctor.Problem, want: "publish to factro.result.acme.>", spoil: asUser, set: user(&server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"factro.result.>"}},
	})},
	{check: "nats-permissions", name: "optional", level: doctor.Warning, want: "factro.bridge.acme.>", spoil: asUser, set: user(&server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"factro.bridge.>"}},
	})},
	{check: "nats-permissions", name: "subscribe", level: doctor.Problem, want: "subscribe to factro.query.acme.>", spoil: asUser, set: user(&server.Permissions{
		Subscribe: &server.SubjectPermission{Deny: []string{"factro.query.>"}},
	})},
	{check: "nats-payload", level: doctor.Warning, want: "do not fit", set: settings{nats: func(o *server.Options) { o.MaxPayload = 512 << 10 }}},
	{check: "nats-clock", level: doctor.Warning, want: "10s behind", spoil: offBy(-10 * time.Second)},
	{check: "nats-clock", name: "far", level: doctor.Problem, want: "2m0s ahead", spoil: offBy(2 * time.Minute)},
	{check: "nats-sync", level: doctor.Warning, want: "every 2m0s", set: settings{nats: func(o *server.Options) { o.SyncAlways = false }}},
	{check: "nats-sync", name: "unknown", level: doctor.Unknown, want: "--monitoring", spoil: func(r *room) { r.in.Monitoring = "" }},

	{check: "nats-streams", level: doctor.Warning, want: "the stream is missing", spoil: func(r *room) { dropStream(r, "FACTRO_RESULTS_ACME") }},
	{check: "nats-streams", name: "not managed", level: doctor.Problem, want: "the stream is missing", spoil: func(r *room) {
		dropStream(r, "FACTRO_RESULTS_ACME")
		r.more("nats: {", "nats: {manage: false, ")
	}},
	{check: "nats-streams", name: "other settings", level: doctor.Warning, want: "discard is", spoil: editStream("FACTRO_COMMANDS_ACME", func(c *jetstream.StreamConfig) {
		c.Discard = jetstream.DiscardOld
	})},
	{check: "nats-streams", name: "no acknowledgements", level: doctor.Problem, want: "acknowledge nothing", spoil: editStream("FACTRO_EVENTS_ACME", func(c *jetstream.StreamConfig) {
		c.NoAck = true
	})},
	{check: "nats-subjects", level: doctor.Problem, want: "FOREIGN", spoil: func(r *room) {
		js := dropStream(r, "FACTRO_EVENTS_ACME")
		if _, err := js.CreateStream(r.t.Context(), jetstream.StreamConfig{Name: "FOREIGN", Subjects: []string{"factro.event.>"}}); err != nil {
			r.t.Fatal(err)
		}
	}},
	{check: "nats-consumers", level: doctor.Warning, want: "is ahead of it", spoil: relayed},
	{check: "nats-duplicates", level: doctor.Warning, want: "for 30s", spoil: editStream("FACTRO_EVENTS_ACME", func(c *jetstream.StreamConfig) {
		c.Duplicates = 30 * time.Second
	})},
	{check: "nats-duplicates", name: "new streams", level: doctor.Warning, want: "for 1m0s", spoil: text("nats: {", "nats: {duplicate_window: 1m, ")},

	{check: "factro-key", level: doctor.Problem, want: "does not accept the key", spoil: func(r *room) { r.factro.SetKey("another") }},
	{check: "factro-key", name: "expired", level: doctor.Problem, want: "does not accept the key", set: faults(sim.Fault{Kind: sim.FaultExpired, Count: 1})},
	{check: "factro-key", name: "away", level: doctor.Problem, want: "cannot be reached", spoil: func(r *room) {
		r.more(`api: {url: "http://127.0.0.1:`, `api: {url: "http://127.0.0.1:1/`)
	}},
	{check: "factro-key", name: "proxy", level: doctor.Problem, want: "answered 200", set: faults(sim.Fault{Kind: sim.FaultPage, Count: 1})},
	{check: "factro-key", name: "repeated", level: doctor.Problem, want: "answered 400", set: faults(sim.Fault{Kind: sim.FaultEcho, Count: 1})},
	{check: "factro-key", name: "missing", level: doctor.Problem, want: "there is no API key", spoil: func(r *room) { _ = os.Remove(r.file("key")) }},
	{check: "factro-key", name: "ends soon", level: doctor.Warning, want: "in 20 days", spoil: func(r *room) {
		key := token(time.Now().Add(480 * time.Hour))
		r.factro.SetKey(key)
		r.write("key", key, 0o600)
	}},
	{check: "factro-budget", level: doctor.Warning, want: "9 of 100 requests", set: settings{sim: sim.Config{Quota: 100, Window: time.Minute}}, spoil: spend(90)},
	{check: "factro-budget", name: "by address", level: doctor.Note, want: "by a user or an address", set: settings{sim: sim.Config{Variants: sim.Variants{LimitByAddress: true}}}},
	{check: "factro-budget", name: "silent", level: doctor.Unknown, want: "no header", set: settings{sim: sim.Config{Variants: sim.Variants{NoRateLimit: true}}}},
	{check: "factro-budget", name: "more than there is", level: doctor.Warning, want: "is 600, and factro allows 500", spoil: text("api: {", "api: {requests_per_minute: 600, ")},
	{check: "factro-rights", level: doctor.Warning, want: "factro refuses it", set: faults(sim.Fault{Kind: sim.FaultError, Status: 403, Operation: "listProjects", Count: 1})},
	{check: "factro-rights", name: "little left", level: doctor.Unknown, want: "only 9 requests are left", set: settings{sim: sim.Config{Quota: 100, Window: time.Minute}}, spoil: spend(90)},
	{check: "factro-clock", level: doctor.Problem, want: "ahead of this machine", set: faults(sim.Fault{Kind: sim.FaultDate, Count: 1})},

	{check: "webhook-path", level: doctor.Problem, want: "502", spoil: func(r *room) {
		r.in.Webhook = func(context.Context, config.Cloud) (string, error) {
			return "https://bridge.example.com/webhooks/acme", errors.New("the webhook was answered with 502")
		}
	}},
	{check: "webhook-path", name: "not asked", level: doctor.Unknown, want: "not tried", spoil: func(r *room) { r.in.Webhook = nil }},
	{check: "telemetry-endpoints", level: doctor.Warning, want: "connection refused", spoil: func(r *room) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			r.t.Fatal(err)
		}
		_ = l.Close()
		r.in.Collectors = []telemetry.Collector{{Signal: "traces", Variable: "OTEL_EXPORTER_OTLP_ENDPOINT", Address: l.Addr().String()}}
	}},
	{check: "telemetry-endpoints", name: "no address", level: doctor.Warning, want: "no address", spoil: func(r *room) {
		r.in.Collectors = []telemetry.Collector{{Signal: "traces", Variable: "OTEL_EXPORTER_OTLP_ENDPOINT", Err: errors.New("no address")}}
	}},
}

// served has the webhook server use a certificate.
func served(valid time.Duration) func(*room) {
	return func(r *room) {
		r.certificate("web", valid)
		r.more("", fmt.Sprintf("http: {tls: {cert_file: %q, key_file: %q}}", r.file("web.crt"), r.file("web.key")))
	}
}

// ofVersion has the server be of another version.
func ofVersion(version string) func(*room) {
	return func(r *room) {
		r.changed(func(f *inspect.Facts) {
			f.Server.Version = version
			for _, feature := range topology.Features() {
				if !feature.In(version) {
					f.Server.Missing = append(f.Server.Missing, feature)
				}
			}
		})
	}
}

// offBy has the clocks of NATS be off.
func offBy(d time.Duration) func(*room) {
	return func(r *room) {
		r.changed(func(f *inspect.Facts) {
			for i := range f.Streams {
				f.Streams[i].Ahead += d
			}
		})
	}
}

// spend uses up requests of the budget.
func spend(n int) func(*room) {
	return func(r *room) {
		r.t.Helper()
		api := r.api()
		for range n {
			if a := api.Ask(r.t.Context(), "getUserQuota", "{}"); a.Status != 200 {
				r.t.Fatalf("%+v", a)
			}
		}
	}
}

// Each case is found by its check, at its level, with why it matters and a line that helps.
func TestFinds(t *testing.T) {
	t.Parallel()
	for _, c := range finds {
		t.Run(strings.TrimSuffix(c.check+"/"+c.name, "/"), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, c.set)
			if c.spoil != nil {
				c.spoil(r)
			}
			wantFound(t, r.run(), c)
		})
	}
}

func wantFound(t *testing.T, report doctor.Report, c find) {
	t.Helper()
	got := resultOf(t, report, c.check)
	if got.Level != c.level {
		t.Errorf("%s is %s, want %s: %+v", c.check, got.Level, c.level, got.Findings)
	}
	found := false
	for _, f := range got.Findings {
		found = found || strings.Contains(f.What, c.want)
		if f.Level != doctor.OK && f.Why == "" || f.Level >= doctor.Warning && f.Fix == "" || strings.Contains(f.Fix, "\n") {
			t.Errorf("a finding without a reason or a line that helps: %+v", f)
		}
	}
	if !found && !strings.Contains(fmt.Sprintf("%+v", got.Findings), c.want) {
		t.Errorf("%s does not say %q: %+v", c.check, c.want, got.Findings)
	}
}

func resultOf(t *testing.T, report doctor.Report, check string) doctor.Result {
	t.Helper()
	for _, r := range report.Checks {
		if r.Name == check {
			return r
		}
	}
	t.Fatalf("no check %s was made", check)
	return doctor.Result{}
}

// Where everything is as it should be, each check says so, and with few requests.
func TestAllIsWell(t *testing.T) {
	t.Parallel()
	r := newRoom(t, settings{})
	served(9000 * time.Hour)(r)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r.in.Collectors = []telemetry.Collector{{Signal: "traces", Variable: "OTEL_EXPORTER_OTLP_ENDPOINT", Address: l.Addr().String()}}
	report := r.run()
	for _, c := range report.Checks {
		if c.Level != doctor.OK {
			t.Errorf("%s is %s: %+v", c.Name, c.Level, c.Findings)
		}
	}
	if len(report.Checks) != len(doctor.Checks()) || !report.OK {
		t.Errorf("%d checks were made of %d, ok %v", len(report.Checks), len(doctor.Checks()), report.OK)
	}
	requests := r.factro.Requests()
	if n := report.Requests["acme"]; n != len(requests) || n < 2 || n > doctor.MostRequests {
		t.Errorf("the report counts %d requests, factro %d", n, len(requests))
	}
	for _, request := range requests {
		if request.Method != http.MethodGet {
			t.Errorf("factro was asked to %s %s", request.Method, request.Path)
		}
	}
}

// Each check of the table has a case in which it finds something. That it is content otherwise is the matter of [TestAllIsWell].
func TestEachCheckIsTried(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{"nats-replicas": true} // needs a cluster, see TestReplicas
	for _, c := range finds {
		tried[c.check] = tried[c.check] || c.level > doctor.OK && c.level != doctor.Unknown
	}
	seen := map[string]bool{}
	for _, c := range doctor.Checks() {
		if seen[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		seen[c.Name] = true
		if !tried[c.Name] {
			t.Errorf("no case has %s find something", c.Name)
		}
		if c.Title == "" || c.Why == "" || c.Help == "" || c.Group == "" {
			t.Errorf("%s has no title, no reason, no help or no group", c.Name)
		}
	}
	for name := range tried {
		if !seen[name] {
			t.Errorf("there is no check %s", name)
		}
	}
}
