package firsthour

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

// commands are all that connect to NATS. The last ones need the configuration in any case: they call factro, or know what streams are to be.
var commands = []string{
	"bridge send setTaskState taskId=$task state=review", "bridge query listProjects", "bridge tail events --since 1h", "bridge dead list", "bridge dead parked",
	"bridge reconcile --dry-run --config bridge.yaml", "bridge canary --no-query --config bridge.yaml", "bridge streams diff --config bridge.yaml",
}

// TestNoNATS: a command that reaches no NATS says so, with address and reason, and waits for nothing.
func TestNoNATS(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	for _, line := range commands {
		if !strings.Contains(line, "--config") {
			line += " --nats nats://$nats"
		}
		d.types(line).exits(1).says(fmt.Sprintf("127.0.0.1:%d", d.natsPort), "connection refused").never("demo")
	}
}

// TestNoBridge: with NATS and no bridge, each command says that, before it waits.
func TestNoBridge(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.serve()
	at := " --nats nats://$nats"
	for _, line := range []string{
		"bridge send setTaskState taskId=$task state=review", "bridge query listProjects", "bridge dead list", "bridge tail events --since 1h",
	} {
		d.types(line+at).exits(1).says("no bridge has made streams at nats://127.0.0.1:", "with the prefix factro").never("demo")
	}
	d.types("bridge send setTaskState taskId=$task state=review --cloud acme" + at).exits(1).says("acme")
	d.types("bridge query listProjects --cloud acme --timeout 3s" + at).exits(1).says("no bridge answers queries of the cloud acme")
}

// TestClouds: the only cloud need not be named, and of several one has to be.
func TestClouds(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	d.serve()
	d.factro()
	b := d.runs()
	d.ready(http.StatusOK, `"nats":"ok"`)
	at := " --nats nats://$nats"
	d.types("bridge query listProjects" + at).exits(0).says(`"title"`)
	d.types("bridge query listProjects --cloud acne" + at).says("no bridge answers queries of the cloud acne").never(`"title"`)
	d.types("bridge send setTaskState taskId=$task state=review --cloud acne"+at).exits(1).says("acne", "acme")
	b.Kill()
	text := d.read("bridge.yaml")
	d.edit("\nclouds:\n", "\nclouds:\n  - name: other\n    webhook: {header: X-Bridge-Key, secrets: [{value: another-secret-of-32-characters-x}]}\n"+
		fmt.Sprintf("    api: {url: \"http://127.0.0.1:%d/api/core\", key: {file: secrets/acme-api-key}}\n", d.factroPort))
	d.runs()
	d.ready(http.StatusOK, `"nats":"ok"`, `"other":"ok"`)
	d.types("bridge query listProjects"+at).exits(2).says("--cloud", "acme", "other")
	d.types("bridge query listProjects --config bridge.yaml").exits(2).says("--cloud", "acme", "other")
	d.types("bridge query listProjects --cloud other" + at).exits(0).says(`"title"`)
	d.write("bridge.yaml", text)
}

// TestCredentials: a server that wants a user accepts what the nats command accepts, too, and its refusals are reported.
func TestCredentials(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	user, err := nkeys.CreateUser()
	must(t, err)
	public, err := user.PublicKey()
	must(t, err)
	seed, err := user.Seed()
	must(t, err)
	d.write("user.nk", string(seed))
	d.write("password", "a-password-of-nats\n")
	d.write("user", "bridge\n")
	d.configured(`user_file: ""`, "user_file: user", `password_file: ""`, "password_file: password")
	d.secrets()
	d.serve("authorization: {users: [{user: bridge, password: a-password-of-nats}, {nkey: " + public + "}]}")
	d.factro()
	d.runs()
	d.ready(http.StatusOK, `"nats":"ok"`)
	d.write(".config/nats/context/work.json", fmt.Sprintf(`{"url":"nats://127.0.0.1:%d","user":"bridge","password":"a-password-of-nats"}`, d.natsPort))
	at := "--nats nats://$nats "
	for _, with := range []string{
		"--config bridge.yaml", "--context work", at + "--nkey user.nk", at + "--user bridge --password-file password",
	} {
		for _, line := range []string{
			"bridge query listProjects", "bridge send setTaskState taskId=$task state=review --wait", "timeout 2 bridge tail results --since 1h", "bridge dead list",
			"bridge dead parked", "bridge reconcile --dry-run --config bridge.yaml", "bridge canary --no-query --config bridge.yaml", "bridge streams diff --config bridge.yaml",
		} {
			if with == "--config bridge.yaml" {
				line = strings.TrimSuffix(line, with)
			}
			s := d.types(line+" "+with).never("a-password-of-nats", "uthoriz")
			if !strings.Contains(line, "tail") {
				s.exits(0)
			}
		}
	}
	d.types("bridge query listProjects --nats nats://bridge:a-password-of-nats@$nats").exits(0)
	for _, with := range []string{at, at + "--user bridge --password-file user"} {
		d.types("bridge dead list " + with).exits(1).says("refuses").never("a-password-of-nats")
	}
	d.types("bridge dead list --context nowhere").exits(2).says("nowhere")
	d.types("bridge dead list --nkey none.nk " + at).says("none.nk")
}
