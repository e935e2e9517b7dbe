package change_test

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		change.Bucket("factro", "acme"):                                           "FACTRO_STATE_ACME",
		change.Stream("factro", "acme"):                                           "FACTRO_CHANGES_ACME",
		change.Key("acme", "task", "4711"):                                        "acme.task.4711",
		change.Key("acme", "task", "a.b"):                                         "acme.task._",
		change.Subject("factro", "acme", "task", "4711", change.Deleted):          "factro.change.acme.task.4711.deleted",
		change.Filter("factro", "acme", "task", events.Any, events.Any):           "factro.change.acme.task.*.*",
		change.Filter("factro", events.Any, "work-record", "x y", change.Created): "factro.change.*.work-record._.created",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
