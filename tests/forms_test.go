package tests

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// form is a webhook as a sender, or something between it and us, may write it.
type form struct {
	name, path, body string
	header           map[string]string
	status           int
	entity           string // of the event; none if it is empty
}

// post delivers a webhook in its form.
func (b *bridge) post(f form) (status int, id string) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.http+f.path, strings.NewReader(f.body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("X-Bridge-Key", webhookSecret+"-acme")
	req.Header.Set("Content-Type", "application/json")
	for name, value := range f.header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatalf("%s: %v", f.name, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Factro-Event-Id")
}

// TestFormsOfWebhooks: whatever form a webhook comes in, its event is JSON with the same meaning.
func TestFormsOfWebhooks(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	b := newBridge(t, bridgeConfig{
		nats: n.URL(), clouds: map[string]string{"acme": "http://127.0.0.1:1"}, roles: "ingress", more: "http: {path_prefix: /factro}",
	}).start()
	_, js := n.Connect(t)
	packed := func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write([]byte(text)) // into memory
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := func(entity string) string {
		return fmt.Sprintf(`{"action":"TaskCreated","createdAt":"0001-01-01T00:00:00Z","context":{"entityId":%q,"title":"Prüfung"}}`, entity)
	}
	const usual = "/webhooks/acme"
	forms := []form{
		{name: "as usual", path: usual, body: text("plain"), status: 202, entity: "plain"},
		{name: "mark", path: usual, body: "\xef\xbb\xbf" + text("mark"), status: 202, entity: "mark"},
		{name: "gzip", path: usual, body: packed(text("gzip")), header: map[string]string{"Content-Encoding": "gzip"}, status: 202, entity: "gzip"},
		{
			name: "charset", path: usual, body: strings.ReplaceAll(text("latin"), "ü", "\xfc"),
			header: map[string]string{"Content-Type": "application/json; charset=iso-8859-1"}, status: 202, entity: "latin",
		},
		{name: "slash", path: usual + "/", body: text("slash"), status: 202, entity: "slash"},
		{name: "slashes", path: "/" + usual, body: text("slashes"), status: 202, entity: "slashes"},
		{name: "prefix", path: "/factro" + usual, body: text("prefix"), status: 202, entity: "prefix"},
		{name: "bomb", path: usual, body: packed(strings.Repeat(" ", 16<<20)), header: map[string]string{"Content-Encoding": "gzip"}, status: 413},
		{name: "unknown", path: usual, body: text("x"), header: map[string]string{"Content-Encoding": "compress"}, status: 415},
		{name: "damaged", path: usual, body: text("x"), header: map[string]string{"Content-Encoding": "br"}, status: 400},
		{name: "nowhere", path: "/hooks/acme", body: text("x"), status: 404},
	}
	events := 0
	for _, f := range forms {
		if status, _ := b.post(f); status != f.status {
			t.Errorf("%s: got %d, want %d", f.name, status, f.status)
		}
		if f.entity == "" {
			continue
		}
		events++
		got := read(t, js, prefix.EventStream("acme"), "factro.event.acme.task."+f.entity+".TaskCreated")
		if len(got) != 1 || string(got[0].event.Data()) != text(f.entity) || got[0].event.Time().Year() < 2020 {
			t.Errorf("%s: the events are %+v", f.name, got)
		}
	}
	if all := read(t, js, prefix.EventStream("acme"), "factro.event.>"); len(all) != events {
		t.Errorf("%d events, want %d", len(all), events)
	}
	for _, want := range []string{`"reason":"not_found"`, `"reason":"too_large"`} {
		// The line is written after the answer.
		waitFor(t, "the log has "+want, func() bool { return strings.Contains(b.log.String(), want) })
	}
}

// TestOneIDManyEvents: an id that names the webhook loses no event, with NATS there, away, and there again.
func TestOneIDManyEvents(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	b := newBridge(t, bridgeConfig{
		nats: n.URL(), clouds: map[string]string{"acme": "http://127.0.0.1:1"}, roles: "ingress",
		more: fmt.Sprintf("spool: {dir: %q}", t.TempDir()),
	}).start()
	waitFor(t, "the bridge is ready", b.ready)
	deliver := func(i int) string {
		t.Helper()
		status, id := b.post(form{path: "/webhooks/acme", body: fmt.Sprintf(`{"id":"w-1","action":"TaskCreated","context":{"entityId":"t-%d"}}`, i)})
		if status != http.StatusAccepted {
			t.Fatalf("webhook %d is answered with %d", i, status)
		}
		return id
	}
	ids := map[string]bool{}
	for i := range 3 {
		ids[deliver(i)] = true
	}
	n.Stop()
	for i := range 6 { // three of them once more
		ids[deliver(i)] = true
	}
	n.Start()
	_, js := n.Connect(t)
	waitFor(t, "the spool is handed over", func() bool { return b.metric(`factro_bridge_spool_messages{factro_cloud="acme"}`) == "0" })
	got := read(t, js, prefix.EventStream("acme"), "factro.event.>")
	for _, m := range got {
		if !ids[m.event.ID()] {
			t.Errorf("nobody received the event %s", m.event.ID())
		}
		delete(ids, m.event.ID())
	}
	if len(got) != 6 || len(ids) != 0 {
		t.Errorf("%d events, want 6; %v are missing", len(got), ids)
	}
}
