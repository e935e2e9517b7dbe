package tests

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// TestMirrorRights: with its key alone the role mirror can read events, results and objects in order, store objects and
// changes, take its lease, and answer operators. The bridge that has the role is in TestLeastPrivilege.
func TestMirrorRights(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	g.prepare(startFactro(t, sim.Config{}))
	for _, subject := range []string{"factro.event.acme.task.1.TaskCreated", "factro.result.acme.task.createTask.applied"} {
		if _, err := g.owner.Request(subject, []byte("{}"), patience); err != nil {
			t.Fatal(err)
		}
	}
	nc, js := g.connect("mirror", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { t.Error(err) }))
	ctx := t.Context()
	state, events, results := "KV_"+change.Bucket(prefix, "acme"), prefix.EventStream("acme"), prefix.ResultStream("acme")

	key, entry := change.Key("acme", "task", "1"), nats.NewMsg("")
	entry.Subject = "$KV." + change.Bucket(prefix, "acme") + "." + key
	entry.Header.Set(change.HeaderOrigin, change.OriginEvent)
	if _, err := js.PublishMsg(ctx, entry, jetstream.WithExpectLastSequencePerSubject(0)); err != nil {
		t.Error(err)
	}
	for _, subject := range []string{
		change.Subject(prefix, "acme", "task", "1", change.Created), "$KV." + topology.ReconcileBucket(prefix) + "." + lease.Key("mirror", "acme"),
		"factro.bridge.acme.paused",
	} {
		if _, err := js.Publish(ctx, subject, []byte("{}")); err != nil {
			t.Error(err)
		}
	}
	for stream, subject := range map[string]string{
		state: "$KV." + change.Bucket(prefix, "acme") + ".acme.task.*", results: "factro.result.acme.>", events: "factro.event.acme.>",
	} {
		n := 0
		for _, err := range journal.New(js).Read(ctx, stream, journal.Beginning(), journal.Present(), subject) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n == 0 {
			t.Errorf("nothing is read of %s", stream)
		}
	}
	for _, stream := range []string{state, change.Stream(prefix, "acme")} {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, []byte(`{"seq":1}`)); err != nil || s.CachedInfo().State.Msgs == 0 {
			t.Errorf("%s: %v", stream, err)
		}
	}
	if _, err := nc.SubscribeSync("factro.mirror.acme"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(nc.Publish("_INBOX.x.y", nil), nc.Flush(), nc.LastError()); err != nil {
		t.Error(err)
	}
}
