package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
)

// worksThrough has a bus do all that it does with JetStream: it makes streams and buckets, stores an event, carries out a command of
// pkg/events, keeps the ledger, a lease and a file, and publishes a result that its sender reads.
func worksThrough(t *testing.T, b *Conn, js jetstream.JetStream) {
	t.Helper()
	run(t, b)
	storeEvent(t, b, "e-1")
	if known, err := ledger(b).Begin(t.Context(), "acme", "c-1"); known || err != nil {
		t.Errorf("the ledger: %t, %v", known, err)
	}
	if known, err := ledger(b).Look(t.Context(), "acme", "c-1"); !known || err != nil {
		t.Errorf("the ledger: %t, %v", known, err)
	}
	if err := ledger(b).Lease(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.New(b).Keep(t.Context(), "acme", "answer", strings.NewReader("x")); err != nil {
		t.Errorf("keep an answer: %v", err)
	}
	w, _ := collector()
	p := publisher(t, b)
	w.handle = func(ctx, _ context.Context, cmd events.Command, mistake error) error {
		if mistake != nil {
			t.Errorf("the command: %v", mistake)
		}
		e := taskEvent(t, cmd.Event.ID()+".applied")
		e.SetType(events.ResultTypePrefix + string(events.Applied))
		e.SetExtension(attr.CausationID, cmd.Event.ID())
		if err := e.SetData("application/json", events.Result{Operation: "createTask", Outcome: events.Applied, Status: 201}); err != nil {
			return err
		}
		return p.Publish(ctx, "factro.result.acme.task.createTask.applied", e, "r-1")
	}
	consume(t, b, w)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sent, err := events.NewClient(js, "acme").Send(ctx, payload.Generic{Name: "createTask", Resource: "task", Data: json.RawMessage(`{"title":"a"}`)})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	eventually(t, "the command "+sent.ID+" has a result", func() bool {
		s, err := js.Stream(ctx, "FACTRO_RESULTS_ACME")
		return err == nil && s.CachedInfo().State.Msgs == 1
	})
}

// TestLeafNode: the bridge and a sender are connected to a leaf node, which has JetStream of its own in another domain, or none.
func TestLeafNode(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("JetStream of its own is %t", own), func(t *testing.T) {
			t.Parallel()
			port, err := freeport.New()
			if err != nil {
				t.Fatal(err)
			}
			startBroker(t, func(o *server.Options) {
				o.ServerName, o.JetStreamDomain = "hub", "hub"
				o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", port
			})
			remote, err := url.Parse(fmt.Sprintf("nats-leaf://127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			leaf := startBroker(t, func(o *server.Options) {
				o.ServerName, o.JetStream = "leaf", own
				if own {
					o.JetStreamDomain = "leaf"
				}
				o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}
				o.LeafNode.ReconnectInterval = 50 * time.Millisecond
			})
			js, err := jetstream.NewWithDomain(leaf.outside(t).nc, "hub")
			if err != nil {
				t.Fatal(err)
			}
			worksThrough(t, leaf.connect(t, quiet(), func(c *Config) { c.Domain = "hub" }), js)
			if own {
				for name := range leaf.outside(t).js.StreamNames(t.Context()).Name() {
					t.Errorf("the leaf has the stream %s", name)
				}
			}
		})
	}
}

// TestWebsocket: through a proxy that knows HTTP only.
func TestWebsocket(t *testing.T) {
	t.Parallel()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	broker := startBroker(t, func(o *server.Options) {
		o.Websocket.Host, o.Websocket.Port, o.Websocket.NoTLS = "127.0.0.1", port, true
	})
	address := fmt.Sprintf("ws://127.0.0.1:%d", port)
	b := broker.connect(t, quiet(), hasty, func(c *Config) { c.URL = address })
	worksThrough(t, b, broker.outside(t).js)
	broker.stop()
	unready(t, b, "connection refused")
	broker.start()
	ready(t, b)
	cfg := broker.config()
	cfg.URL = address
	c, err := DialClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	// A server that speaks no websocket is reported as such.
	cfg.URL = "ws://" + strings.TrimPrefix(broker.url(), "nats://")
	if _, err := DialClient(cfg); err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("it says %v", err)
	}
}

// TestHandshakeFirst: a server that expects TLS before it introduces itself.
func TestHandshakeFirst(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	broker := startBroker(t, ca.serve(true))
	first := func(c *Config) { c.TLS.CAFile, c.TLS.HandshakeFirst = ca.file, true }
	nc, err := nats.Connect(broker.url(), nats.RootCAs(ca.file), nats.TLSHandshakeFirst())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	worksThrough(t, broker.connect(t, quiet(), hasty, first), js)
	cfg := broker.config()
	first(&cfg)
	c, err := DialClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestDeadAdvertised: the server names another one of its cluster that nobody reaches. It costs a dial, or nothing at all.
func TestDeadAdvertised(t *testing.T) {
	t.Parallel()
	const nowhere = "192.0.2.1:4222" // for documentation: no packet arrives
	for _, ignore := range []bool{false, true} {
		t.Run(fmt.Sprintf("ignored is %t", ignore), func(t *testing.T) {
			t.Parallel()
			port, err := freeport.New()
			if err != nil {
				t.Fatal(err)
			}
			member := func(o *server.Options) { // JetStream would want three
				o.JetStream, o.Cluster.Name, o.Cluster.Host, o.Cluster.Port = false, "test", "127.0.0.1", server.RANDOM_PORT
			}
			broker := startBroker(t, member, func(o *server.Options) { o.Cluster.Port = port })
			startBroker(t, member, func(o *server.Options) {
				o.ClientAdvertise, o.Routes = nowhere, server.RoutesFromStr(fmt.Sprintf("nats-route://127.0.0.1:%d", port))
			})
			b := broker.connect(t, quiet(), hasty, func(c *Config) { c.IgnoreDiscovered = ignore })
			eventually(t, "the server names the other one", func() bool { return ignore || strings.Contains(fmt.Sprint(b.nc.DiscoveredServers()), "192.0.2.1") })
			broker.stop()
			unready(t, b, "connection refused")
			began := time.Now()
			broker.start()
			eventually(t, "the connection is back", b.nc.IsConnected)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the connection was back after %s", took)
			}
			if ignore && strings.Contains(fmt.Sprint(b.nc.Servers()), "192.0.2.1") {
				t.Errorf("the servers are %v", b.nc.Servers())
			}
		})
	}
}
