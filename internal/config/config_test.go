package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
)

// valid is a configuration that the tests change by one thing each.
const valid = `
clouds:
  - name: acme
    webhook: {header: X-Bridge-Key, secrets: [{value: a-long-secret}]}
    api: {key: {value: an-api-key}}
`

func TestSampleIsValidAndComplete(t *testing.T) {
	t.Parallel()
	c, err := Default().load("sample.yaml", Sample, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := Default()
	d.Clouds = c.Clouds
	d.Spool.Dir = c.Spool.Dir
	if c.Spool.Dir == "" {
		t.Error("the sample has no spool")
	}
	if !reflect.DeepEqual(c, d) {
		t.Errorf("the sample shows other values than the defaults:\n%+v\n%+v", c, d)
	}
	for _, path := range settings(reflect.TypeFor[Config](), "") {
		key := path[strings.LastIndex(path, ".")+1:]
		if !strings.Contains(string(Sample), key+":") {
			t.Errorf("the sample does not show %s", path)
		}
	}
}

// settings lists the paths of all settings of a configuration's type.
func settings(typ reflect.Type, prefix string) []string {
	var out []string
	for f := range typ.Fields() {
		if !f.IsExported() {
			continue
		}
		name, t := prefix+f.Tag.Get("yaml"), f.Type
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			t = t.Elem()
		}
		if t.Kind() == reflect.Struct {
			out = append(out, settings(t, name+".")...)
		} else {
			out = append(out, name)
		}
	}
	return out
}

func TestEverySettingHasAVariable(t *testing.T) {
	t.Parallel()
	actions := filepath.Join(t.TempDir(), "actions.txt")
	if err := os.WriteFile(actions, []byte("TaskGelöscht\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := map[string]string{
		"HTTP_LISTEN": "127.0.0.1:1", "HTTP_TLS_CERT_FILE": "cert", "HTTP_TLS_KEY_FILE": "key", "HTTP_TLS_CLIENT_CA_FILE": "ca",
		"HTTP_MAX_BODY": "2MiB", "HTTP_MAX_IN_FLIGHT": "7", "HTTP_STORE_TIMEOUT": "3s", "HTTP_MAX_MEMORY": "40MiB",
		"HTTP_MAX_CONNECTIONS": "77", "HTTP_MAX_CONNECTIONS_PER_ADDRESS": "33", "HTTP_IDLE_TIMEOUT": "12m", "HTTP_MAX_HEADER": "16KiB", "HTTP_PATH_PREFIX": "/factro", "ADMIN_LISTEN": "127.0.0.1:2",
		"NATS_URL": "nats://x:1", "NATS_CREDS_FILE": "creds", "NATS_NKEY_FILE": "", "NATS_TLS_CA_FILE": "ca2",
		"NATS_TLS_CERT_FILE": "cert2", "NATS_TLS_KEY_FILE": "key2", "NATS_EMBEDDED_DATA_DIR": "", "NATS_EMBEDDED_LISTEN": "",
		"SPOOL_DIR": "there", "SPOOL_MAX_BYTES": "20MiB", "SPOOL_DRAIN_PER_SECOND": "5",
		"NATS_REPLY_PREFIXES": "replies.acme,answers", "NATS_PREFIX": "other", "NATS_REPLICAS": "3", "NATS_MANAGE": "false",
		"NATS_MAX_BYTES_EVENTS": "21MiB", "NATS_MAX_BYTES_COMMANDS": "22MiB", "NATS_MAX_BYTES_RESULTS": "23MiB", "NATS_MAX_BYTES_DEAD": "24MiB",
		"NATS_MAX_BYTES_LEDGER": "25MiB", "NATS_MAX_BYTES_FILES": "26MiB", "NATS_MAX_BYTES_ANSWERS": "27MiB", "NATS_MAX_BYTES_ORIGINALS": "28MiB",
		"NATS_MAX_BYTES_KEYS": "29MiB", "NATS_MAX_BYTES_DELAYED": "30MiB", "NATS_MAX_BYTES_STATE": "31MiB", "NATS_MAX_BYTES_CHANGES": "32MiB",
		"NATS_INBOX_PREFIX": "_INBOX.egress", "NATS_API_PREFIX": "JS.factro.API", "NATS_DOMAIN": "", "NATS_DUPLICATE_WINDOW": "5m",
		"NATS_USER_FILE": "", "NATS_PASSWORD_FILE": "", "NATS_TLS_HANDSHAKE_FIRST": "true", "NATS_DIAL_TIMEOUT": "3s",
		"NATS_IGNORE_DISCOVERED_SERVERS": "true", "ROLES": "egress,ingress",
		"CLOUDS_0_NAME": "fromenv", "CLOUDS_0_SOURCE": "urn:x", "CLOUDS_0_WEBHOOK_HEADER": "X-Other",
		"CLOUDS_0_WEBHOOK_URL": "https://x/webhooks/fromenv", "RECONCILE_EVERY": "20m", "RECONCILE_OVERLAP": "2h", "RECONCILE_GRACE": "1m",
		"RECONCILE_ACTIONS": "TaskCreated,TaskGelöscht",
		"MIRROR_RESOURCES":  "project,user", "MIRROR_DROP_FIELDS": "user.emailAddress,user.city", "MIRROR_SETTLE": "3s", "MIRROR_RECHECK": "4s", "MIRROR_VERIFY": "6h",
		"MIRROR_SHARE": "0.25", "MIRROR_WHOLE": "true",
		"CLOUDS_0_WEBHOOK_SECRETS_0_FILE": "f", "CLOUDS_0_WEBHOOK_SECRETS_1_VALUE": "second-secret",
		"CLOUDS_0_API_URL": "http://localhost:1/api", "CLOUDS_0_API_KEY_FILE": "keyfile", "CLOUDS_0_API_KEY_VALUE": "",
		"CLOUDS_0_POLICY_ALLOW_0_OPERATIONS": "create*,update*", "CLOUDS_0_POLICY_ALLOW_0_SOURCES": "//shop/*",
		"CLOUDS_0_POLICY_DENY_0_OPERATIONS": "deleteTask", "CLOUDS_0_POLICY_DENY_0_SOURCES": "",
		"CLOUDS_0_API_REQUESTS_PER_MINUTE": "10", "CLOUDS_0_API_RESERVE": "7", "CLOUDS_0_API_TIMEOUT": "9s", "CLOUDS_0_API_CONCURRENCY": "3", "CLOUDS_0_ON_DEAD": "hold", "CLOUDS_0_BATCH_MAX": "25",
		"LOG_LEVEL": "warn", "LOG_FORMAT": "text", "SHUTDOWN_TIMEOUT": "11s", "KNOWN_ACTIONS_FILE": actions,
	}
	for i, kind := range []string{"EVENTS", "COMMANDS", "RESULTS", "DEAD", "LEDGER", "ADVISORIES", "BRIDGE", "CONTROL", "RECONCILE", "FILES", "ANSWERS", "ORIGINALS", "KEYS", "DELAYED", "STATE", "CHANGES"} {
		prefix := "NATS_STREAMS_" + kind + "_"
		environ[prefix+"MAX_AGE"], environ[prefix+"MAX_MESSAGES"] = fmt.Sprintf("%dh", 100+i), "5"
		if kind == "COMMANDS" || kind == "CONTROL" || kind == "RECONCILE" || kind == "KEYS" || kind == "DELAYED" || kind == "STATE" {
			environ[prefix+"MAX_AGE"] = "0"
		}
		if i == 4 || i > 6 && kind != "CHANGES" {
			environ[prefix+"MAX_MESSAGES"] = "0"
		}
		environ[prefix+"REPLICAS"], environ[prefix+"CLUSTER"], environ[prefix+"TAGS"] = "2", "east", "a,b"
	}
	var list []string
	for name, value := range environ {
		list = append(list, EnvPrefix+name+"="+value)
	}
	c, err := Default().load("", nil, list)
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range settings(reflect.TypeFor[Config](), "") {
		path = strings.NewReplacer("clouds.", "clouds.0.", "secrets.", "secrets.0.", "allow.", "allow.0.", "deny.", "deny.0.").Replace(path)
		name := strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
		if _, ok := environ[name]; !ok && name != "CLOUDS_0_WEBHOOK_SECRETS_0_VALUE" {
			t.Errorf("%s has no variable %s%s in this test", path, EnvPrefix, name)
		}
	}
	cloud := c.Clouds[0]
	known, err := c.KnownActions()
	for name, ok := range map[string]bool{
		"NATS connection": c.NATS.TLS.HandshakeFirst && c.NATS.DialTimeout == 3*time.Second && c.NATS.IgnoreDiscoveredServers,
		"streams":         c.NATS.DuplicateWindow == 5*time.Minute && reflect.DeepEqual(c.NATS.Streams.Dead, Shape{103 * time.Hour, 5, 2, "east", []string{"a", "b"}}),
		"connections":     c.HTTP.MaxConnections == 77 && c.HTTP.MaxConnectionsPerAddress == 33 && c.HTTP.IdleTimeout == 12*time.Minute && c.HTTP.MaxMemory == 40<<20,
		"http":            c.HTTP.Listen == "127.0.0.1:1" && c.HTTP.TLS == ServerTLS{"cert", "key", "ca"} && c.HTTP.MaxBody == 2<<20 && c.HTTP.MaxInFlight == 7 && c.HTTP.StoreTimeout == 3*time.Second,
		"nats":            c.NATS.URL == "nats://x:1" && c.NATS.CredsFile == "creds" && c.NATS.Prefix == "other" && c.NATS.Replicas == 3 && !c.NATS.Manage && c.NATS.TLS.CAFile == "ca2",
		"roles":           reflect.DeepEqual(c.Roles, []string{"egress", "ingress"}),
		"cloud":           cloud.Name == "fromenv" && cloud.Source == "urn:x" && cloud.Webhook.Header == "X-Other",
		"spool":           c.Spool == Spool{"there", 20 << 20, 5},
		"secrets":         len(cloud.Webhook.Secrets) == 2 && cloud.Webhook.Secrets[0].File == "f" && cloud.Webhook.Secrets[1].Value.Reveal() == "second-secret",
		"policy":          reflect.DeepEqual(cloud.Policy, Policy{[]PolicyRule{{[]string{"create*", "update*"}, []string{"//shop/*"}}}, []PolicyRule{{[]string{"deleteTask"}, nil}}}),
		"api":             cloud.API.Key.File == "keyfile" && cloud.API.RequestsPerMinute == 10 && cloud.API.Reserve == 7 && cloud.API.Timeout == 9*time.Second,
		"actions":         err == nil && slices.Equal(known, []string{"TaskGelöscht"}),
		"inboxes":         c.NATS.InboxPrefix == "_INBOX.egress" && c.NATS.APIPrefix == "JS.factro.API" && c.BusConfig(nil).InboxPrefix == "_INBOX.egress",
		"replies":         slices.Equal(c.NATS.ReplyPrefixes, []string{"replies.acme", "answers"}) && slices.Equal(c.EgressConfig(c.Clouds[0]).ReplyPrefixes, c.NATS.ReplyPrefixes),
		"reconcile": cloud.Webhook.URL == "https://x/webhooks/fromenv" &&
			reflect.DeepEqual(c.Reconcile, Reconcile{20 * time.Minute, 2 * time.Hour, time.Minute, []string{"TaskCreated", "TaskGelöscht"}}),
		"mirror": reflect.DeepEqual(c.MirrorConfig(cloud), Mirror{
			[]string{"project", "user"}, map[string][]string{"user": {"emailAddress", "city"}}, 3 * time.Second, 4 * time.Second, 6 * time.Hour, 0.25, true,
		}),
		"others": c.ShutdownTimeout == 11*time.Second && c.Log == Log{4, "text"} && c.Admin.Listen == "127.0.0.1:2",
	} {
		if !ok {
			t.Errorf("%s is not what the environment says:\n%s", name, text)
		}
	}
	if strings.Contains(string(text), "second-secret") {
		t.Error("the configuration shows a secret")
	}
}

func TestEnvironmentWinsOverFile(t *testing.T) {
	t.Parallel()
	c, err := Default().load("f", []byte(valid), []string{EnvPrefix + "CLOUDS_0_API_TIMEOUT=7s"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Clouds[0]; got.Name != "acme" || got.API.Timeout != 7*time.Second || got.API.URL != defaultAPI {
		t.Errorf("got %+v", got)
	}
}

func TestMistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	const bad = `
http: {listen: "", max_body: 1, max_in_flight: 0, tls: {cert_file: only}}
spool: {dir: there, max_bytes: 1, drain_per_second: 0}
admin: {listen: ""}
nats: {url: "", prefix: "Fac.tro", replicas: 9}
roles: [ingress, egress, reconcile, cook]
reconcile: {every: 1ms, overlap: 1m, grace: 1m}
known_actions_file: /nowhere/actions.txt
log: {format: logfmt}
shutdown_timeout: 1ms
clouds:
  - {name: "Ac me", webhook: {header: "X Y", secrets: [{value: short}, {}], url: "acme"}, api: {url: "ftp://x", timeout: 1ms, requests_per_minute: -1}}
  - {name: acme}
  - {name: acme}
`
	_, err := Default().load("bad.yaml", []byte(bad), nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"http.listen", "http.max_body", "http.max_in_flight", "http.tls", "admin.listen", "spool.max_bytes", "spool.drain_per_second", "nats.url", "nats.prefix", "nats.replicas",
		`roles: "cook"`, `log.format: "logfmt"`, "shutdown_timeout", "known_actions_file: open /nowhere/actions.txt", "clouds[0].name", "clouds[0].webhook.header", "secrets[0]", "secrets[1]",
		"clouds[0].api.url", "clouds[0].api.timeout", "clouds[0].api.requests_per_minute", "clouds[0].api.key",
		"clouds[1].webhook", "clouds[1].api.key", "clouds[2].name", "reconcile.every", "reconcile.overlap", "clouds[0].webhook.url",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %s:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "short,") || strings.Contains(err.Error(), `"short"`) {
		t.Errorf("the error shows a secret: %v", err)
	}
}

// TestSpoolApart: the spool and the embedded server have a directory each, however it is written.
func TestSpoolApart(t *testing.T) {
	t.Parallel()
	for dir, ok := range map[string]bool{"data": false, "./data/": false, "data/spool": true, "": true} {
		_, err := Default().load("c.yaml", []byte(valid), []string{
			EnvPrefix + "SPOOL_DIR=" + dir, EnvPrefix + "NATS_EMBEDDED_DATA_DIR=data",
		})
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "spool.dir") {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

func TestUnknownSettingsHaveTheirLine(t *testing.T) {
	t.Parallel()
	_, err := Default().load("f.yaml", []byte("http:\n  lisen: x\nnats:\n  urll: y\n"+valid), nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"f.yaml", "line 2: http.lisen: there is no such setting", "line 4: nats.urll: there is no such setting"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "bridge.") {
		t.Errorf("the error speaks Go: %v", err)
	}
}

// TestMistakesOfForm: each value of a wrong form is named by its setting, with what would be right, and never quoted.
func TestMistakesOfForm(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"NATS_REPLICAS=geheim": "a whole number", "NATS_MANAGE=geheim": "true or false", "SHUTDOWN_TIMEOUT=20": "a duration such as",
		"HTTP_MAX_BODY=geheim": "512KiB or 1MiB", "LOG_LEVEL=geheim": "debug, info", "CLOUDS_0_API_TIMEOUT=30d": "a duration",
		"NATS_STREAMS_EVENTS_MAX_AGE=30d": "a duration", "CLOUDS_0_API_REQUESTS_PER_MINUTE=geheim": "a whole number",
	} {
		_, err := Default().load("c.yaml", []byte(valid), []string{
			EnvPrefix + variable, EnvPrefix + "NATS_STREAMS_COMMANDS_REPLICAS=1", EnvPrefix + "RECONCILE_EVERY=1h", "PATH=/bin",
		})
		name, _, _ := strings.Cut(variable, "=")
		if err == nil || !strings.Contains(err.Error(), EnvPrefix+name+": ") || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "geheim") || strings.Count(err.Error(), EnvPrefix) != 1 {
			t.Errorf("%s: %v", variable, err)
		}
	}
	_, err := Default().load("c.yaml", []byte(valid), []string{EnvPrefix + "NATS_REPLICAS=x", EnvPrefix + "NATS_STREAMS_DEAD_REPLICAS=y"})
	if err == nil || !strings.Contains(err.Error(), "NATS_REPLICAS: ") || !strings.Contains(err.Error(), "DEAD_REPLICAS: ") {
		t.Errorf("two of one name: %v", err)
	}
	for text, want := range map[string]string{
		"nats: {replicas: three}": "line 1: nats.replicas: want a whole number", "shutdown_timeout: 30d": "want a duration",
		"nats: x": "settings below it", "clouds: x": "want a list", "a text": "settings below it", valid + "\n---\nnats: {replicas: 3}\n": "one document",
		valid + "\n--- [\n": "one document",
	} {
		if _, err := Default().load("c.yaml", []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestUnknownVariables: a variable that does nothing is reported, unless it is one of Kubernetes.
func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	c, err := Default().load("c.yaml", []byte(valid), []string{
		EnvPrefix + "NATS_URI=nats://u:geheim@h", EnvPrefix + "CLOUDS_7_NAME=x", EnvPrefix + "CLOUDS_0_API_TIMEOUT=7s", EnvPrefix + "ROLES=ingress", EnvPrefix + "CLOUDS_0_WEBHOOK_SECRETS_0_VALUE=0123456789abcdef0123",
		EnvPrefix + "PORT=tcp://10.0.0.1:8080", EnvPrefix + "SERVICE_HOST=10.0.0.1", EnvPrefix + "SERVICE_PORT_HTTP=8080", EnvPrefix + "PORT_8080_TCP_ADDR=10.0.0.1", "FACTRO_OTHER=1",
	})
	if err != nil {
		t.Fatal(err)
	}
	var reported []string
	for _, w := range c.Warnings() {
		if strings.HasPrefix(w, EnvPrefix) {
			reported = append(reported, strings.SplitN(w, ":", 2)[0])
		}
		if strings.Contains(w, "geheim") {
			t.Errorf("a secret is shown: %s", w)
		}
	}
	if want := []string{EnvPrefix + "CLOUDS_7_NAME", EnvPrefix + "NATS_URI"}; !slices.Equal(reported, want) {
		t.Errorf("reported %v, want %v", reported, want)
	}
}

func TestLoadReadsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	if err := os.WriteFile(path, []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err != nil {
		t.Error(err)
	}
	if _, err := Load(path+"x", nil); err == nil || !strings.Contains(err.Error(), path+"x") {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "17": 17, "17B": 17, "2KiB": 2048, "1MiB": 1 << 20, "3 GiB": 3 << 30} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || int64(b) != want {
			t.Errorf("%q: got %d, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5MiB", "1MB", "9223372036854775807KiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, b)
		}
	}
}

// TestReplyPrefixes: an operator can open nothing that would give senders the bridge's rights.
func TestReplyPrefixes(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"replies.acme": "", "_INBOX_billing": "", "answers": "", "factrox": "",
		"$JS": "belongs to the NATS server", "$KV.FACTRO_LEDGER": "belongs to the NATS server",
		"factro": "belongs to the bridge", "factro.event": "belongs to the bridge",
		">": "has a wildcard", "*": "has a wildcard", "replies.*": "has a wildcard", "replies.>": "has a wildcard",
		"": "is no beginning of a subject", "replies.": "is no beginning of a subject", ".a": "is no beginning of a subject",
		"a..b": "is no beginning of a subject", "a b": "is no beginning of a subject", "a\n": "is no beginning of a subject",
		"a\xff": "is no beginning of a subject",
	} {
		c := Default()
		c.NATS.ReplyPrefixes = []string{"replies", prefix}
		err := c.NATS.validateReplies()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "nats.reply_prefixes[1]: ") || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", prefix, err)
		}
		if reported := c.Validate(); want != "" && !strings.Contains(reported.Error(), want) {
			t.Errorf("%q: the configuration is said to be %v", prefix, reported)
		}
	}
}

// TestConfigShowsNoSecret: no mistake in an address, or in where a secret stands, shows what is secret in it.
func TestConfigShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"m:geheim", "geheim", "m:ge,geheim", "m:ge@geheim", "m:ge%geheim", "m:ge/geheim", "m:1,geheim", "geheim:1,2", "geheim:1/2", "m:ge geheim", "m:geheim\tx"} {
		for setting, tail := range map[string]string{"NATS_URL": ":99999", "CLOUDS_0_API_URL": ":99999/api", "CLOUDS_0_WEBHOOK_URL": ":99999/x"} {
			for _, scheme := range []string{"https://", "nats://", "", "://"} {
				address := scheme + user + "@example.com" + tail
				_, err := Default().load("c.yaml", []byte(valid), []string{EnvPrefix + setting + "=" + address})
				if err == nil || strings.Contains(err.Error(), "geheim") {
					t.Errorf("%s=%s: %v", setting, address, err)
				}
			}
		}
	}
	for _, misplaced := range []string{
		"clouds: [{name: acme, api: {key: geheim}}]", "clouds: [{name: acme, webhook: {secrets: [geheim]}}]", "clouds: [{name: acme, webhook: {secrets: geheim}}]",
		"nats: geheim", "nats: {replicas: geheim}", "http: {max_in_flight: geheim}",
	} {
		_, err := Default().load("c.yaml", []byte(misplaced), nil)
		if err == nil || strings.Contains(err.Error(), "geh") || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v", misplaced, err)
		}
	}
}

// TestPorts: what no server can listen at, and no client reach, is a mistake in the configuration.
func TestPorts(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"HTTP_LISTEN", "ADMIN_LISTEN", "NATS_EMBEDDED_LISTEN"} {
		for address, good := range map[string]bool{
			":8080": true, "127.0.0.1:0": true, "[::1]:65535": true, "8080": false, ":99999": false, ":-1": false, ":": false, ":x": false, "127.0.0.1": false, "::1:80": false,
		} {
			_, err := Default().load("c.yaml", []byte(valid), []string{EnvPrefix + setting + "=" + address})
			name := strings.ToLower(strings.ReplaceAll(setting, "_LISTEN", ".LISTEN"))
			name = strings.ReplaceAll(name, "nats_", "nats.")
			if (err == nil) != good || !good && !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%s: %v", setting, address, err)
			}
		}
	}
	for setting, name := range map[string]string{"NATS_URL": "nats.url", "CLOUDS_0_API_URL": "api.url", "CLOUDS_0_WEBHOOK_URL": "webhook.url"} {
		for address, good := range map[string]bool{
			"https://h:1": true, "https://h": true, "https://[::1]:1": true, "https://h:0": false, "https://h:65536": false, "https://h:-1": false, "https://h:x": false,
		} {
			if name == "nats.url" {
				address = strings.Replace(address, "https", "nats", 1)
			}
			_, err := Default().load("c.yaml", []byte(valid), []string{EnvPrefix + setting + "=" + address})
			if (err == nil) != good || !good && !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%s: %v", setting, address, err)
			}
		}
	}
	_, err := Default().load("c.yaml", []byte(valid), []string{EnvPrefix + "NATS_URL=nats://a:1,b:2,nats://c:99999"})
	if err == nil || !strings.Contains(err.Error(), "address 3") {
		t.Errorf("the third address of NATS: %v", err)
	}
}

// TestHeaderNames: a header that proxies drop is warned of.
func TestHeaderNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"X-Bridge-Key": false, "X_Bridge_Key": true, "X.Bridge": true} {
		c, err := Default().load("c.yaml", []byte(strings.ReplaceAll(valid, "X-Bridge-Key", name)), nil)
		if err != nil {
			t.Fatal(err)
		}
		warned := slices.ContainsFunc(c.Warnings(), func(w string) bool {
			return strings.Contains(w, "clouds[0].webhook.header: ") && strings.Contains(w, "proxies")
		})
		if warned != want {
			t.Errorf("%s: %q", name, c.Warnings())
		}
	}
}

// TestProxies: an invalid proxy is reported by the name of its variable; the HTTP client would quote it at each call.
func TestProxies(t *testing.T) {
	t.Parallel()
	for value, good := range map[string]bool{
		"": true, "proxy:3128": true, "http://m:geheim@proxy:3128": true, "m:geheim@proxy:3128": true, "socks5://proxy": true, "http://m:ge%25heim@proxy": true,
		"http://m:ge%heim@proxy": false, "m:ge%heim@proxy:1": false, "m:ge/heim@proxy:1": false, "ftp://geheim@proxy": false, "http://proxy:geheim": false, "http://": false,
	} {
		for _, name := range []string{"HTTPS_PROXY", "http_proxy"} {
			_, err := Default().load("c.yaml", []byte(valid), []string{name + "=" + value})
			if (err == nil) != good || !good && (!strings.Contains(err.Error(), name+": ") || strings.Contains(err.Error(), "heim")) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
	if _, err := Default().load("c.yaml", []byte("roles: [ingress]"+valid), []string{"HTTPS_PROXY=http://m:ge%heim@proxy"}); err != nil {
		t.Errorf("a process that calls nobody: %v", err)
	}
}

// TestCheckFiles: what the files hold that a configuration names, and what a start takes for a mistake.
func TestCheckFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for text, want := range map[string]struct{ check, start string }{
		"0123456789abcdef":              {},
		"\ufeff0123456789abcdef\r\n":    {},
		"0\x001\x002\x003\x00":          {"UTF-16", "UTF-16"},
		"\xff\xfe0\x001\x00":            {"UTF-16", "UTF-16"},
		"0123456789\nabcdef":            {"several lines", "several lines"},
		"0123456789\x1babcdef":          {"control character", "control character"},
		"0123456789-schlüssel":          {"not ASCII", "not ASCII"},
		"":                              {"empty", ""},
		strings.Repeat("0123456789", 2): {},
	} {
		file := put("secret", text)
		for setting, yaml := range map[string]string{
			"clouds[0].api.key":            fmt.Sprintf("clouds: [{name: acme, webhook: {header: X, secrets: [{value: 0123456789abcdef}]}, api: {key: {file: %q}}}]", file),
			"clouds[0].webhook.secrets[1]": fmt.Sprintf("clouds: [{name: acme, webhook: {header: X, secrets: [{value: 0123456789abcdef}, {file: %q}]}, api: {key: {value: k}}}]", file),
		} {
			c, err := Default().load("c.yaml", []byte(yaml), nil)
			if err != nil {
				t.Fatal(err)
			}
			missing, check := c.CheckFiles()
			for how, one := range map[string]struct {
				err  error
				want string
			}{"check": {check, want.check}, "start": {c.CheckSecrets(), want.start}} {
				switch {
				case one.want == "" && one.err == nil && len(missing) == 0:
				case one.want == "" || one.err == nil || !strings.Contains(one.err.Error(), setting+": ") || !strings.Contains(one.err.Error(), file) ||
					!strings.Contains(one.err.Error(), one.want) || strings.Contains(one.err.Error(), "0123"):
					t.Errorf("%s of %q in %s: %v, %v; want %q", how, text, setting, one.err, missing, one.want)
				}
			}
		}
	}
	nowhere, nonsense := filepath.Join(dir, "nowhere"), put("nonsense", "nonsense")
	for name, yaml := range map[string]string{
		"nats.creds_file":          "nats: {creds_file: %q}",
		"nats.nkey_file":           "nats: {nkey_file: %q}",
		"nats.tls.ca_file":         "nats: {tls: {ca_file: %q}}",
		"nats.tls.cert_file":       "nats: {tls: {cert_file: %[1]q, key_file: %[1]q}}",
		"http.tls.cert_file":       "http: {tls: {cert_file: %[1]q, key_file: %[1]q}}",
		"clouds[0].webhook.secret": "{}",
	} {
		for file, wrong := range map[string]bool{nowhere: false, nonsense: true} {
			text := strings.Replace(fmt.Sprintf(yaml, file), "{}", "", 1) + valid
			if strings.HasPrefix(name, "clouds") {
				text = fmt.Sprintf("clouds: [{name: acme, webhook: {header: X, secrets: [{file: %q}]}, api: {key: {value: k}}}]", file)
				wrong = false
			}
			c, err := Default().load("c.yaml", []byte(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			missing, err := c.CheckFiles()
			if file == nowhere && (err != nil || len(missing) != 1 || !strings.HasPrefix(missing[0], name) || !strings.Contains(missing[0], file)) ||
				wrong && (err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), file)) {
				t.Errorf("%s: %v, %q", text, err, missing)
			}
		}
	}
}

// TestLooseFiles: all files with secrets are looked at, the configuration too if it holds one.
func TestLooseFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o604)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	loose := file("loose", "0123456789abcdef")
	path := file("bridge.yaml", fmt.Sprintf(`
nats: {nkey_file: %[1]q, tls: {cert_file: %[1]q, key_file: %[1]q}}
roles: [egress]
clouds: [{name: acme, webhook: {header: X, secrets: [{file: %[1]q}, {value: 0123456789abcdef}]}, api: {key: {file: %[1]q}}}]
`, loose))
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.Loose(), "\n")
	for _, want := range []string{"nats.nkey_file: ", "nats.tls.key_file: ", "clouds[0].webhook.secrets[0]: ", "clouds[0].api.key: ", path} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning of %s:\n%s", want, got)
		}
	}
	for _, p := range []string{loose, path} {
		if err := os.Chmod(p, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Loose(); len(got) > 0 {
		t.Errorf("warned of %v", got)
	}
}

// TestConcurrency: without the setting the number of commands at once follows factro's answers; with it, it is a hard limit, and a
// mistake names its place, its value and what would be right.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	const form = "roles: [%s]\nclouds:\n  - {name: acme, webhook: {header: X-Key, secrets: [{value: long-enough-to-be-one}]}, api: {key: {value: some-key}%s}}\n"
	for setting, want := range map[string]slots.Limits{
		"": {Usual: 8, Most: 32}, ", concurrency: 0": {Usual: 8, Most: 32}, ", concurrency: 1": {Usual: 1}, ", concurrency: 8": {Usual: 8}, ", concurrency: 256": {Usual: 256},
	} {
		c, err := Default().load("good.yaml", fmt.Appendf(nil, form, "egress", setting), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.CommandOptions(c.Clouds[0]).Slots; got != want {
			t.Errorf("%q: %+v, want %+v", setting, got, want)
		}
	}
	for setting, want := range map[string]string{
		", concurrency: -1":   "clouds[0].api.concurrency: -1 is not between 1 and 256; without it, it is 8, and up to 32 while factro answers slowly",
		", concurrency: 257":  "clouds[0].api.concurrency: 257 is not between 1 and 256",
		", concurrency: many": "clouds[0].api.concurrency: want a whole number",
		", concurrency: 2.5":  "clouds[0].api.concurrency: want a whole number",
	} {
		_, err := Default().load("bad.yaml", fmt.Appendf(nil, form, "egress", setting), nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%q: %v, want %q", setting, err, want)
		}
	}
	if _, err := Default().load("query.yaml", fmt.Appendf(nil, form, "query", ", concurrency: 257"), nil); err != nil {
		t.Errorf("a process that carries out no commands: %v", err)
	}
	c, err := Default().load("", fmt.Appendf(nil, form, "egress", ""), []string{"FACTRO_BRIDGE_CLOUDS_0_API_CONCURRENCY=3"})
	if err != nil || c.CommandOptions(c.Clouds[0]).Slots != (slots.Limits{Usual: 3}) {
		t.Errorf("from the environment: %+v, %v", c, err)
	}
}
