package interop

import (
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// The drill of docs/operations.md: what "nats backup account" took from one server, a bridge goes on with on another one,
// which was empty. Events, results, dead letters and waiting commands are there, and a command that was carried out before
// is not carried out again.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	old := &site{}
	old.useNATS(t, natstest.Start(t))
	api := old.startFactro(t)
	old.startBridge(t, api)
	old.deliver(t, `{"id":"d-1","action":"TaskStateChanged","context":{"entityId":"4711","note":"Prüfung"}}`)
	create := payload.CreateTask{Title: "Sicherung", TargetParentID: old.factro.Demo().Package}
	if _, err := events.NewClient(old.js, cloud).Do(t.Context(), create, events.WithID("c-1")); err != nil {
		t.Fatal(err)
	}
	old.natsCommand(t, "pub", "factro.command.demo.task.createTask", `{"titel":"Prüfung"}`, "-H", "Nats-Msg-Id:wrong")
	if r := old.result(t, "wrong"); r.Outcome != events.Rejected {
		t.Errorf("got the result %+v", r)
	}
	wantAll(t, "the dead letters", old.natsCommand(t, "sub", "factro.dead.>", "--all", "--count=1"), "Factro-Dead-Code: invalid")
	other := jetstream.StreamConfig{Name: "FACTRO_COMMANDS_OTHER", Subjects: []string{"factro.command.other.>"}, Retention: jetstream.WorkQueuePolicy}
	if _, err := old.js.CreateStream(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	old.natsCommand(t, "pub", "factro.command.other.task.createTask", `{"title":"wartet"}`) // nobody reads this cloud's

	backup := filepath.Join(t.TempDir(), "backup")
	old.natsCommand(t, "backup", "account", "--force", backup)

	moved := &site{factro: old.factro}
	moved.useNATS(t, natstest.Start(t))
	moved.natsCommand(t, "backup", "restore", "account", backup)
	moved.startBridge(t, api)
	wantAll(t, "the events", moved.natsCommand(t, "sub", "factro.event.demo.task.4711.>", "--all", "--count=1"), "Prüfung", "ce-id: d-1")
	wantAll(t, "the dead letters", moved.natsCommand(t, "sub", "factro.dead.>", "--all", "--count=1"), "Factro-Dead-Code: invalid")
	wantAll(t, "the consumers", moved.natsCommand(t, "consumer", "ls", "FACTRO_COMMANDS_DEMO"), "egress-demo")
	queue, err := moved.js.Stream(t.Context(), other.Name)
	if err != nil || queue.CachedInfo().State.Msgs != 1 {
		t.Errorf("the waiting command is not there: %v", err)
	}

	client := events.NewClient(moved.js, cloud)
	again, err := client.Do(t.Context(), create, events.WithID("c-1"))
	if err != nil || again.Resource == nil || old.tasks("Sicherung") != 1 {
		t.Errorf("factro has %d tasks, the command of before the backup has the result %+v, %v", old.tasks("Sicherung"), again, err)
	}
	if _, err := client.Do(t.Context(), payload.CreateTask{Title: "danach", TargetParentID: old.factro.Demo().Package}); err != nil {
		t.Error(err)
	}
	moved.deliver(t, `{"id":"d-2","action":"TaskStateChanged","context":{"entityId":"4712"}}`)
	wantAll(t, "a later event", moved.natsCommand(t, "sub", "factro.event.demo.task.4712.>", "--all", "--count=1"), "ce-id: d-2")
}
