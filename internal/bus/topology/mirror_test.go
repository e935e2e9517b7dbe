package topology

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestMirrorStreams: the state forgets nothing by itself, and the changes do, as events.
func TestMirrorStreams(t *testing.T) {
	t.Parallel()
	streams := Plan{
		Prefix: "factro", Replicas: 3, DuplicateWindow: time.Hour,
		Shapes: Shapes{"changes": {MaxAge: 48 * time.Hour, MaxMessages: 7}, "state": {Replicas: 1, Cluster: "east"}},
	}.Mirror("acme")
	state, changes := streams[0], streams[1]
	if state.Name != "KV_FACTRO_STATE_ACME" || state.MaxAge != 0 || state.Discard != jetstream.DiscardNew || state.MaxMsgsPerSubject != 1 ||
		state.Replicas != 1 || state.Placement.Cluster != "east" || state.Duplicates != 2*time.Minute {
		t.Errorf("the state is %+v", state)
	}
	if changes.Name != "FACTRO_CHANGES_ACME" || changes.Subjects[0] != "factro.change.acme.>" || changes.MaxAge != 48*time.Hour || changes.MaxMsgs != 7 ||
		changes.Replicas != 3 || changes.Discard != jetstream.DiscardOld || changes.Compression != jetstream.S2Compression || changes.Duplicates != time.Hour {
		t.Errorf("the changes are %+v", changes)
	}
	if changes := (Plan{Prefix: "factro"}).Mirror("acme")[1]; changes.MaxAge != Of(Events, "factro", "acme").MaxAge {
		t.Errorf("changes are kept for %s", changes.MaxAge)
	}
}

// TestMirrorShapes: what would lose objects cannot be set.
func TestMirrorShapes(t *testing.T) {
	t.Parallel()
	for want, shapes := range map[string]Shapes{
		"":                                  {"state": {Replicas: 3}, "changes": {MaxAge: time.Hour, MaxMessages: 1}},
		"nats.streams.state.max_age: ":      {"state": {MaxAge: 24 * time.Hour}},
		"nats.streams.state.max_messages: ": {"state": {MaxMessages: 1}},
		"nats.streams.changes.max_age: 1s ": {"changes": {MaxAge: time.Second}},
	} {
		err := Plan{Prefix: "factro", Shapes: shapes}.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", shapes, err, want)
		}
	}
	if err := (Sizes{State: 1, Changes: 1}).Validate(); err == nil || !strings.Contains(err.Error(), "nats.max_bytes.state") ||
		!strings.Contains(err.Error(), "nats.max_bytes.changes") {
		t.Errorf("too small: %v", err)
	}
}
