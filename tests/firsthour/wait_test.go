package firsthour

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestDryRun: the call that would be made is shown, and none is made.
func TestDryRun(t *testing.T) {
	t.Parallel()
	d, _ := working(t)
	d.types("bridge send createTask title=Prüfung targetParentId=$package --dry-run --wait --config bridge.yaml").exits(0).
		matches(`(?i)call +POST \S*/tasks`).matches(`body +\{.*"title":"Prüfung"`).never(apiKey)
	d.types("curl --silent http://$factro/_sim/requests").exits(0).says("[").never("POST")
}

// TestRepeatedID: an id that was used for something else is an error, which tells the earlier result; the same again gets the same result.
func TestRepeatedID(t *testing.T) {
	t.Parallel()
	d, _ := working(t)
	d.types("bridge send setTaskState taskId=$task state=review --id order-1 --wait --config bridge.yaml").exits(0).says("setTaskState applied")
	d.types("bridge send setTaskState taskId=$task state=review --id order-1 --wait --config bridge.yaml").exits(0).says("setTaskState applied")
	d.types("bridge send setTaskState taskId=$task state=inProcess --id order-1 --wait --config bridge.yaml").exits(3).
		says("id order-1 was used before, for other data; the earlier result was: setTaskState applied")
	d.types("bridge send createTask title=Prüfung targetParentId=$package --id order-1 --wait --config bridge.yaml").exits(3).
		says("id order-1 was used before, for the operation setTaskState")
	var refused struct {
		ID    string
		Error struct{ Code string }
	}
	d.types("bridge send setTaskState taskId=$task state=inProcess --id order-1 --wait --json --config bridge.yaml").exits(3).json(&refused)
	if refused.ID != "order-1" || refused.Error.Code != "conflict" {
		t.Errorf("as JSON it is %+v", refused)
	}
	d.types("bridge query getTask taskId=$task --pretty --config bridge.yaml").exits(0).says(`"taskState": "review"`)
}

// TestWaiting: a waiting sender learns the reason: factro is unreachable, factro refuses the key, there are commands before it, or nobody takes commands.
func TestWaiting(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured("requests_per_minute: 480", "requests_per_minute: 48000")
	d.secrets()
	d.serve()
	b := d.runs()
	d.ready(http.StatusOK, `"nats":"ok"`)
	send := "bridge send setTaskState taskId=$task state=review --wait --timeout "
	d.types(send + "8s --config bridge.yaml").exits(5).says("factro unreachable since 20")
	d.types(send + "4s --config bridge.yaml").exits(5).matches(`1 command before it`)
	b.Kill()
	d.types(send + "4s --config bridge.yaml").exits(5).says("a bridge took commands of the cloud acme a moment ago").never("applied")

	d.write("secrets/acme-api-key", "a-key-of-yesterday")
	d.factro()
	d.runs()
	d.ready(http.StatusOK, "paused: factro does not accept the API key")
	d.types(send + "4s --config bridge.yaml").exits(5).says("factro refuses the API key since 20")
	must(t, os.WriteFile(filepath.Join(d.dir, "secrets/acme-api-key"), []byte(apiKey), 0o600))
	d.types(send + "60s --config bridge.yaml").exits(0).says("setTaskState applied")
}
