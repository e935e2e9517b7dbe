package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryMistakeHasItsPlace: one run reports whatever is wrong, with line and setting, or with its variable; nothing is
// reported twice, and nothing that only follows from something else.
func TestEveryMistakeHasItsPlace(t *testing.T) {
	t.Parallel()
	const bad = `http:
  lisen: ":8080"
  max_body: 1MB
  max_in_flight: [1]
  store_timeout: soon
  tls: geheim
nats:
  manage: perhaps
  replicas: 9
  replicas: 3
  streams: {events: {tags: {a: b}}}
log: {level: loud}
roles: ingress
clouds:
  - name: "Ac me"
    webhook:
      header: "X Y"
      secrets: [{value: short}, geheim]
    api: {key: geheim, timeout: 1ms}
  - {name: acme}
shutdown_timeout: 1ms
`
	_, err := Default().load("bad.yaml", []byte(bad), []string{
		EnvPrefix + "HTTP_MAX_CONNECTIONS=geheim", EnvPrefix + "ADMIN_LISTEN=nowhere", EnvPrefix + "SHUTDOWN_TIMEOUT=2ms",
	})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")[1:]
	for _, want := range []string{
		"line 2: http.lisen: there is no such setting",
		"line 3: http.max_body: want a size in bytes such as 65536, 512KiB or 1MiB, not this text",
		"line 4: http.max_in_flight: want a whole number, not a list",
		"line 5: http.store_timeout: want a duration such as 500ms, 10s or 5m, not this text",
		"line 6: http.tls: want settings below it, not this text",
		"line 8: nats.manage: want true or false, not this text",
		"line 9: nats.replicas: 9 is not between 1 and 5",
		"line 10: nats.replicas: is there twice; the first one is in line 9",
		"line 11: nats.streams.events.tags: want a list of texts, not a group of settings",
		"line 12: log.level: want debug, info, warn or error, not this text",
		"line 13: roles: want a list of texts, not this text",
		`line 15: clouds[0].name: "Ac me" is no name such as acme: want lower-case letters, digits and hyphens, `,
		"line 17: clouds[0].webhook.header: ",
		"line 18: clouds[0].webhook.secrets[0]: ",
		"line 18: clouds[0].webhook.secrets[1]: want settings below it, not this text",
		"line 19: clouds[0].api.key: want settings below it, not this text",
		"line 19: clouds[0].api.timeout: 1ms",
		"line 20: clouds[1].webhook.header: ",
		"line 20: clouds[1].webhook.secrets: ",
		"line 20: clouds[1].api.key: ",
		EnvPrefix + "HTTP_MAX_CONNECTIONS: want a whole number, not this text",
		"admin.listen: ",
		"shutdown_timeout: 2ms is shorter than 1s (from " + EnvPrefix + "SHUTDOWN_TIMEOUT)",
	} {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) })
		if i < 0 {
			t.Errorf("it is not reported: %s", want)
			continue
		}
		lines = slices.Delete(lines, i, i+1)
	}
	for _, left := range lines {
		t.Errorf("it is reported beside that: %s", left)
	}
	if strings.Contains(err.Error(), "geheim") {
		t.Errorf("a value is shown:\n%v", err)
	}
}

// TestMistakesOfVariables: a variable of an item that is not the first is named as any other is, and a setting is reported once, by its name.
func TestMistakesOfVariables(t *testing.T) {
	t.Parallel()
	const two = "clouds:\n  - &acme {name: acme, webhook: {header: X-Bridge-Key, secrets: [{value: a-long-secret}]}, api: {key: {value: an-api-key}}}\n" +
		"  - {<<: *acme, name: beta}\nshutdown_timeout: -3s\n"
	_, err := Default().load("two.yaml", []byte(two), []string{
		EnvPrefix + "CLOUDS_1_API_TIMEOUT=geheim", EnvPrefix + "CLOUDS_0_API_REQUESTS_PER_MINUTE=geheim", EnvPrefix + "LOG_LEVEL=info",
	})
	want := "configuration two.yaml:\n" +
		EnvPrefix + "CLOUDS_0_API_REQUESTS_PER_MINUTE: want a whole number, not this text\n" +
		EnvPrefix + "CLOUDS_1_API_TIMEOUT: want a duration such as 500ms, 10s or 5m, not this text\n" +
		"line 4: shutdown_timeout: -3s is not positive"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestForms: what YAML has for long files means what it means everywhere.
func TestForms(t *testing.T) {
	t.Parallel()
	c, err := Default().load("f.yaml", []byte(`
spool: ~
roles: &all [ingress, egress]
clouds:
  - &acme
    name: acme
    webhook: {header: X-Bridge-Key, secrets: [{value: a-long-secret}]}
    api: &api {key: {value: an-api-key}, timeout: 7s}
  - <<: *acme
    name: blau
    api: {<<: *api, timeout: 9s}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	blau := c.Clouds[1]
	if blau.Name != "blau" || blau.Webhook.Header != "X-Bridge-Key" || blau.API.Timeout.String() != "9s" || blau.API.Key.Value.Reveal() != "an-api-key" ||
		c.Clouds[0].API.Timeout.String() != "7s" || c.Spool != Default().Spool || len(c.Roles) != 2 {
		t.Errorf("got %+v", c)
	}
	if _, err := Default().load("f.yaml", []byte("http:\n  listen: [\n"), nil); err == nil || !strings.Contains(err.Error(), "f.yaml") || !strings.Contains(err.Error(), "line ") {
		t.Errorf("a file that is no YAML: %v", err)
	}
}

// TestCheck: a check tells the mistakes of settings and of files in one run; without files it reads none.
func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := put("key", "two\nlines")
	form := `known_actions_file: ` + filepath.Join(dir, "nowhere") + `
clouds:
  - name: acme
    webhook: {header: X-Bridge-Key, secrets: [{file: ` + filepath.Join(dir, "nothing") + `}]}
    api:
      key: {file: ` + key + `}
`
	path := put("bridge.yaml", "log: {format: yes}\n"+form)
	c, err := Check(path, []string{EnvPrefix + "NATS_URI=x"}, false)
	if err == nil {
		t.Fatal("no mistake is reported")
	}
	// What is not good beside the mistakes is reported in the same run.
	if len(c.Cautions) != 2 || !strings.HasPrefix(c.Cautions[0], EnvPrefix+"NATS_URI: is no setting") || !strings.HasPrefix(c.Cautions[1], "line 5: clouds[0].webhook.secrets[0]: ") {
		t.Errorf("beside mistakes it tells %q", c.Cautions)
	}
	for _, want := range []string{"line 1: log.format: ", "line 2: known_actions_file: ", "line 7: clouds[0].api.key: ", "several lines"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it lacks %q:\n%v", want, err)
		}
	}
	c, err = Check(put("good.yaml", form), []string{EnvPrefix + "SPOOL_DIR=" + dir, EnvPrefix + "NATS_URL=nats://m:geheim@h:1"}, true)
	if err != nil || len(c.Cautions) > 0 {
		t.Errorf("offline it tells %v, %q", err, c.Cautions)
	}
	meaning := strings.Join(c.Meaning(), "\n")
	for _, want := range []string{
		"roles: ingress (takes webhooks at :8080), egress (carries out commands), query (answers queries), reconcile (finds missing events)",
		"cloud: acme, webhooks at /webhooks/acme with their secret in the header X-Bridge-Key, Core API at https://cloud.factro.com/api/core",
		"NATS:  nats://[hidden]@h:1, subjects begin with factro", "spool: up to 1024 MiB in " + dir, "files: not read (--offline)",
	} {
		if !strings.Contains(meaning, want) {
			t.Errorf("it lacks %q:\n%s", want, meaning)
		}
	}
	put("key", "one-line")
	c, err = Check(put("good.yaml", strings.Replace(form, "known_actions_file", "#", 1)), nil, false)
	if err != nil || len(c.Cautions) != 1 || !strings.HasPrefix(c.Cautions[0], "line 4: clouds[0].webhook.secrets[0]: ") || !strings.Contains(strings.Join(c.Meaning(), "\n"), "files: 1 of those") {
		t.Errorf("with a file that is missing it tells %v, %q, %q", err, c.Cautions, c.Meaning())
	}

	c, err = Check(put("doubtful.yaml", strings.Replace(form, "known_actions_file", "#", 1)+"      url: http://factro.example\n    source: not a uri\n"), nil, true)
	if err != nil || len(c.Cautions) != 2 || !strings.HasPrefix(c.Cautions[0], "line 7: clouds[0].api.url: it has no path") || !strings.HasPrefix(c.Cautions[1], `line 8: clouds[0].source: "not a uri" is no URI reference`) {
		t.Errorf("of doubtful settings it tells %v, %q", err, c.Cautions)
	}
	c, err = Check(put("fast.yaml", strings.Replace(form, "known_actions_file", "#", 1)+"      requests_per_minute: 501\n"), nil, true)
	if err != nil || len(c.Cautions) != 1 || !strings.HasPrefix(c.Cautions[0], "line 7: clouds[0].api.requests_per_minute: 501 is more than the 500 that factro allows") {
		t.Errorf("of too many requests it tells %v, %q", err, c.Cautions)
	}

	for listen, want := range map[string]string{"": "and which no other process reaches", ", listen: '127.0.0.1:4222'": "and listens at 127.0.0.1:4222"} {
		c, err = Check(put("embedded.yaml", form+"nats: {embedded: {data_dir: /data"+listen+"}}\n"), nil, true)
		if err != nil || !slices.Contains(c.Meaning(), "NATS:  a server inside the bridge, which stores in /data "+want+", subjects begin with factro") {
			t.Errorf("of an embedded server it tells %v, %q", err, c.Meaning())
		}
	}

	put("gone.yaml", strings.Replace(strings.Replace(form, "known_actions_file", "#", 1), key, filepath.Join(dir, "gone"), 1))
	c, err = Check(filepath.Join(dir, "gone.yaml"), nil, false)
	if err != nil || len(c.Cautions) != 2 || !strings.HasPrefix(c.Cautions[0], "line 4: ") || !strings.HasPrefix(c.Cautions[1], "line 6: ") {
		t.Errorf("two missing files are reported in the order %q, %v", c.Cautions, err)
	}

	// A credential of systemd is there only while the service runs, and whoever checks before that reads so.
	unit := strings.ReplaceAll(strings.Replace(form, "known_actions_file", "#", 1), filepath.Join(dir, "nothing"), "/run/credentials/none.service/secret_key")
	c, err = Check(put("unit.yaml", unit), nil, false)
	if err != nil || len(c.Cautions) != 1 || !strings.HasSuffix(c.Cautions[0], "no such file or directory; systemd puts it there when it starts the service, for the service and root only") {
		t.Errorf("with a credential that is missing it tells %v, %q", err, c.Cautions)
	}
}
