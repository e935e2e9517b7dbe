package tests

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Whatever happens to NATS, the process that runs goes on when it is over: webhooks in, commands out with their ledger,
// queries. Until then it is not ready, and takes no webhook.
func TestReconnect(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	// A webhook waits while the streams are created again, which takes a busy disk some seconds.
	b := newBridge(t, bridgeConfig{
		nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: []string{"FACTRO_BRIDGE_HTTP_STORE_TIMEOUT=15s"},
	}).start()
	client := &http.Client{}
	const body = `{"action":"TaskStateChanged","context":{"entityId":"1"},"id":"`
	works := func(id string) {
		t.Helper()
		waitFor(t, "the bridge is ready", b.ready)
		nc, js := n.Connect(t)
		if status := b.webhook(client, "acme", body+id+`"}`); status != http.StatusAccepted {
			t.Errorf("the webhook %s was answered with %d", id, status)
		}
		if got := len(read(t, js, prefix.EventStream("acme"), "factro.event.>")); got == 0 {
			t.Error("no event is stored")
		}
		results := watchStream(t, js, prefix.ResultStream("acme"))
		send(t, js, "acme", "createTask", id, newTask(f, id))
		if r := results.finalOf(t, id); r.Outcome != events.Applied {
			t.Errorf("the command %s is %s: %+v", id, r.Outcome, r.Error)
		}
		if got := tasksWithTitle(f, id); got != 1 {
			t.Errorf("the command %s made %d tasks", id, got)
		}
		waitFor(t, "a query is answered", func() bool {
			m, err := nc.Request("factro.query.acme.user.getUserQuota", nil, patience)
			return err == nil && m.Header.Get(events.HeaderError) == ""
		})
	}
	works("before")

	n.Stop()
	waitFor(t, "readiness tells", func() bool {
		status, text := b.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "not connected")
	})
	if status := b.webhook(client, "acme", body+`away"}`); status != http.StatusServiceUnavailable {
		t.Errorf("the webhook was answered with %d", status)
	}
	n.Start()
	works("after an outage")

	n.Stop()
	if err := os.RemoveAll(n.Options.StoreDir); err != nil {
		t.Fatal(err)
	}
	n.Start()
	works("after the loss of the store")

	_, js := n.Connect(t)
	for name := range js.StreamNames(t.Context()).Name() {
		if err := js.DeleteStream(t.Context(), name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) { // it may have been one that only measures the room
			t.Fatal(err)
		}
	}
	// Nobody tells the bridge, but the first webhook does.
	if status := b.webhook(client, "acme", body+`finds out"}`); status != http.StatusAccepted {
		t.Errorf("the webhook was answered with %d", status)
	}
	waitFor(t, "the stream of results is there", func() bool { // a look that began in the midst of it has made the rest only
		_, err := js.Stream(t.Context(), prefix.ResultStream("acme"))
		return err == nil
	})
	works("after the loss of the streams")
	if strings.Count(b.log.String(), `"bridge started"`) != 1 {
		t.Error("it was started again")
	}
}
