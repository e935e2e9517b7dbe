package tests

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// spoolBridge is a bridge with a spool, which drains slowly enough to be interrupted.
func spoolBridge(t testing.TB, n *natstest.Server, drainPerSecond int) *bridge {
	t.Helper()
	f := startFactro(t, sim.Config{})
	return newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: []string{
		"FACTRO_BRIDGE_SPOOL_DIR=" + filepath.Join(t.TempDir(), "spool"),
		fmt.Sprintf("FACTRO_BRIDGE_SPOOL_DRAIN_PER_SECOND=%d", drainPerSecond),
		"FACTRO_BRIDGE_HTTP_STORE_TIMEOUT=2s",
	}})
}

// deliverInOrder has each of some senders deliver webhooks about an entity of its own, one after the other, and wants each
// to be accepted. The ids count on from first.
func (b *bridge) deliverInOrder(senders, first, each int, at func(done int)) {
	b.t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}, Timeout: patience}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for n := range senders {
		group.Go(func() {
			for i := first; i < first+each; i++ {
				body := fmt.Sprintf(`{"id":"%d-%05d","action":"TaskStateChanged","context":{"entityId":"task-%d","note":%q}}`, n, i, n, payloadMarker)
				if status := b.webhook(client, "acme", body); status != http.StatusAccepted {
					b.t.Errorf("webhook %d of sender %d was answered with %d", i, n, status)
				}
				if n == 0 {
					at(i)
				}
			}
		})
	}
	group.Wait()
}

// wantInOrder wants the stream to have what deliverInOrder sent: each event once, and those of an entity in their order.
func wantInOrder(t testing.TB, stored []message, senders, each int) {
	t.Helper()
	byEntity := map[string][]string{}
	for _, m := range stored {
		byEntity[m.event.Subject()] = append(byEntity[m.event.Subject()], m.event.ID())
	}
	for n := range senders {
		var want []string
		for i := range each {
			want = append(want, fmt.Sprintf("%d-%05d", n, i))
		}
		got := byEntity[fmt.Sprintf("task/task-%d", n)]
		if slices.Equal(got, want) {
			continue
		}
		sorted := slices.Compact(slices.Sorted(slices.Values(got)))
		t.Errorf("entity %d has %d events, %d different ones, want %d; in order: %v", n, len(got), len(sorted), each, slices.IsSorted(got))
	}
	if len(stored) != senders*each {
		t.Errorf("the stream has %d events, want %d", len(stored), senders*each)
	}
}

// wantAccounted wants the bridge's own accounts to be even.
func (b *bridge) wantAccounted() {
	b.t.Helper()
	for _, flow := range []string{"webhooks", "spool"} {
		series := fmt.Sprintf("factro_bridge_unaccounted{flow=%q}", flow)
		waitFor(b.t, series+" is 0", func() bool { return b.metric(series) == "0" }) // a webhook is counted after its answer
	}
}

// parts waits until readiness is 200 and has these words.
func (b *bridge) parts(words ...string) {
	b.t.Helper()
	waitFor(b.t, fmt.Sprintf("readiness says %q", words), func() bool {
		status, body := b.get("/readyz")
		for _, w := range words {
			if !strings.Contains(body, w) {
				return false
			}
		}
		return status == http.StatusOK
	})
}

// NATS goes away under load, twice. Every webhook is accepted, and in the end the stream has each once, in order.
func TestSpoolWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	b := spoolBridge(t, n, 2000).start()
	const senders, each = 16, 60
	first, second := once(each/5, n.Stop), once(each/2, n.Start)
	third, last := once(each*6/10, n.Stop), once(each*9/10, n.Start)
	b.deliverInOrder(senders, 0, each, func(done int) { first(done); second(done); third(done); last(done) })
	b.parts(`"spool":"empty"`, `"nats":"ok"`)
	_, js := n.Connect(t)
	wantInOrder(t, read(t, js, prefix.EventStream("acme"), "factro.event.>"), senders, each)
	b.wantAccounted()
	if got := b.metric(`factro_bridge_webhooks_total{factro_cloud="acme",http_response_status_code="202",outcome="spooled"}`); got == "absent" {
		t.Error("nothing was spooled: the test shows nothing")
	}
}

// A bridge that has never seen NATS accepts webhooks. It is killed with a filled spool, started again, killed while it
// hands over, and stopped gracefully while it does.
func TestSpoolAfterKills(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	b := spoolBridge(t, n, 400)
	n.Stop()
	b.start()
	const senders, each, kills = 8, 100, 3
	b.deliverInOrder(senders, 0, each/2, func(int) {})
	b.parts("not connected", "webhooks are spooled", fmt.Sprintf("%d events wait", senders*each/2))
	b.kill()
	b.start()
	b.parts(fmt.Sprintf("%d events wait", senders*each/2))
	b.deliverInOrder(senders, each/2, each/2, func(int) {})
	b.wantAccounted()
	n.Start()
	b.parts(`"nats":"ok"`) // the streams are made
	_, js := n.Connect(t)
	stream := watchStream(t, js, prefix.EventStream("acme"))
	for i := range kills {
		waitFor(t, "some more are handed over", func() bool { return len(stream.all()) > senders*each*i/(kills+1)+30 })
		if i == 1 {
			if err := b.terminate(); err != nil {
				t.Errorf("exit after SIGTERM: %v", err)
			}
		} else {
			b.kill()
		}
		b.launch()
	}
	b.parts(`"spool":"empty"`, `"nats":"ok"`)
	wantInOrder(t, read(t, js, prefix.EventStream("acme"), "factro.event.>"), senders, each)
	b.wantAccounted()
	for _, m := range stream.all() {
		if m.header["ce-factroorigin"][0] != "spool" || m.header["ce-recordedtime"] == nil {
			t.Fatalf("an event that waited says %v", m.header)
		}
	}
}

// Two bridges do not share a spool, and one with a wrong directory says so.
func TestSpoolBelongsToOneBridge(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	b := spoolBridge(t, n, 1000).start()
	other := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": "http://127.0.0.1:1/api/core"}, env: b.env})
	other.launchInVain("another process uses it")
	if !b.ready() {
		t.Error("the first one suffers")
	}
}

// launchInVain wants the process to end with an error that has these words.
func (b *bridge) launchInVain(words string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "run", "--config", b.configFile)
	cmd.Env = append(append(os.Environ(), "FACTRO_BRIDGE_HTTP_LISTEN=127.0.0.1:0", "FACTRO_BRIDGE_ADMIN_LISTEN=127.0.0.1:0"), b.env...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), words) {
		b.t.Errorf("it ended with %v and\n%s", err, out)
	}
}
