package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func asBridge(c *Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:b@", 1) }

// bridgeMay is the bridge's user in a configuration, with what it must not publish and subscribe to.
func bridgeMay(publish, subscribe []string) string {
	return fmt.Sprintf(`{user: bridge, password: b, permissions: {publish: {allow: ">", deny: %q}, subscribe: {allow: ">", deny: %q}}}`, publish, subscribe)
}

func denied(publish, subscribe string) *server.Permissions {
	p := &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}}, Subscribe: &server.SubjectPermission{Allow: []string{">"}}}
	if publish != "" {
		p.Publish.Deny = []string{publish}
	}
	if subscribe != "" {
		p.Subscribe.Deny = []string{subscribe}
	}
	return p
}

// TestPublishRevoked: the server tells a running connection nothing of a permission that is granted again, so the bus
// asks, and nobody hears of it.
func TestPublishRevoked(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"factro.event.>", "$KV.FACTRO_LEDGER_ACME.>", "$JS.API.STREAM.INFO.FACTRO_DEAD_ACME", "$JS.API.CONSUMER.MSG.NEXT.>", "$JS.ACK.>"} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			broker := startReloading(t, bridgeMay(nil, nil))
			b := run(t, broker.connect(t, quiet(), asBridge))
			handled := make(chan string, 100)
			consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
				handled <- cmd.Event.ID()
				return nil
			}})
			out := broker.outside(t)
			heard, err := out.nc.SubscribeSync("factro.event.>")
			if err != nil {
				t.Fatal(err)
			}
			broker.reload(bridgeMay([]string{subject}, nil))
			out.command("c-1")
			p := publisher(t, b)
			ctx, cancel := context.WithCancel(t.Context())
			var tries sync.WaitGroup // until one of them is refused
			tries.Go(func() { _ = p.Publish(ctx, eventSubject, taskEvent(t, "e-1"), "e-1") })
			tries.Go(func() { _, _ = ledger(b).Begin(ctx, "acme", "1") })
			unready(t, b, `violation for publish to "`+strings.TrimSuffix(subject, ">"))
			cancel()
			tries.Wait()

			broker.reload(bridgeMay(nil, nil))
			ready(t, b)
			storeEvent(t, b, "e-1")
			out.command("c-2")
			for id := receive(t, handled); id != "c-2"; id = receive(t, handled) { // an acknowledgement may have been refused
				continue
			}
			if n := b.nc.Stats().Reconnects; n != 0 {
				t.Errorf("%d new connections", n)
			}
			if n := out.count("FACTRO_EVENTS_ACME"); n != 1 {
				t.Errorf("the stream has %d events", n)
			}
			for m, err := heard.NextMsg(patience); err == nil; m, err = heard.NextMsg(time.Millisecond) {
				if m.Header.Get("ce-id") != "e-1" {
					t.Errorf("a stranger heard %v", m.Header)
				}
			}
		})
	}
}

// TestSubscriptionRevoked: the server drops the subscription, and the client would not make it again.
func TestSubscriptionRevoked(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"_INBOX.>", "factro.query.>"} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			broker := startReloading(t, bridgeMay(nil, nil))
			b := run(t, broker.connect(t, quiet(), asBridge, hasty))
			out := broker.outside(t)
			if _, err := b.nc.QueueSubscribe("factro.query.acme.*.*", "q", func(m *nats.Msg) { _ = b.nc.Publish(m.Reply, m.Data) }); err != nil {
				t.Fatal(err)
			}
			ask := func() bool {
				m, err := out.nc.Request("factro.query.acme.task.getTask", []byte(`{"taskId":"ü"}`), time.Second)
				return err == nil && string(m.Data) == `{"taskId":"ü"}`
			}
			eventually(t, "queries are answered", ask)
			broker.reload(bridgeMay(nil, []string{subject}))
			unready(t, b, `violation for subscription to "`+strings.TrimSuffix(subject, ">"))
			broker.reload(bridgeMay(nil, nil))
			ready(t, b)
			eventually(t, "queries are answered again", ask)
			storeEvent(t, b, "e-1")
		})
	}
}

// binds takes webhooks in and carries commands out, and makes nothing itself.
func binds(c *Config) { c.Manage, c.Takes, c.Carries = false, true, true }

// TestBindTellsTheTruth: without the right to make them, readiness says which streams and consumers are not there.
func TestBindTellsTheTruth(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := broker.connect(t, quiet(), binds)
	start(t, b.Run)
	w, got := collector()
	consume(t, b, w)
	unready(t, b, "FACTRO_EVENTS_ACME")

	maker := broker.connect(t, quiet())
	start(t, maker.Run)
	ready(t, maker)
	unready(t, b, "the commands of acme cannot be pulled")
	if _, err := CommandConsumer(t.Context(), maker, "acme"); err != nil {
		t.Fatal(err)
	}
	ready(t, b)
	out := broker.outside(t)
	out.command("a")
	receive(t, got)
	storeEvent(t, b, "e-1")
	if err := out.js.DeleteConsumer(t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme"); err != nil {
		t.Fatal(err)
	}
	unready(t, b, "the commands of acme cannot be pulled")
	if _, err := CommandConsumer(t.Context(), maker, "acme"); err != nil {
		t.Fatal(err)
	}
	ready(t, b)
	out.command("b")
	receive(t, got)
}

// TestBindByRole: each role needs its own streams.
func TestBindByRole(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	for _, cfg := range topology.Required("factro", "acme") {
		if cfg.Name == "FACTRO_EVENTS_ACME" || cfg.Name == "FACTRO_DEAD_ACME" {
			if _, err := out.js.CreateStream(t.Context(), cfg.StreamConfig); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(t, broker.connect(t, quiet(), func(c *Config) { c.Manage, c.Takes = false, true }))
	run(t, broker.connect(t, quiet(), func(c *Config) { c.Manage = false }))
	b := broker.connect(t, quiet(), func(c *Config) { c.Manage, c.Carries = false, true })
	start(t, b.Run)
	unready(t, b, "FACTRO_COMMANDS_ACME")
}

// TestLeaderNotAsked: an account from before the right to ask the leader was needed works on, and the log names the right.
func TestLeaderNotAsked(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	run(t, broker.connect(t, quiet())).Close()
	broker.stop()
	denies := denied("$JS.API.STREAM.MSG.GET.>", "")
	broker.Options.Users = append(broker.Options.Users, &server.User{Username: "bridge", Password: "right", Permissions: denies})
	broker.start()
	log, book := newLog()
	b := run(t, broker.connect(t, log, func(c *Config) { userFiles(t, c, "right") }))
	for _, id := range []string{"a", "b"} {
		if known, err := ledger(b).Begin(t.Context(), "acme", id); known || err != nil {
			t.Errorf("%s: %t, %v", id, known, err)
		}
		if known, err := ledger(b).Look(t.Context(), "acme", id); !known || err != nil {
			t.Errorf("%s: %t, %v", id, known, err)
		}
	}
	if known, err := ledger(b).Look(t.Context(), "acme", "c"); known || err != nil {
		t.Errorf("there is none: %t, %v", known, err)
	}
	if n := book.count("STREAM.MSG.GET.KV_FACTRO_LEDGER_ACME"); n != 1 || !strings.Contains(book.String(), "grant the permission") {
		t.Errorf("the log names the right %d times:\n%s", n, book)
	}
	ready(t, b)
}
