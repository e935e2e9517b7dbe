package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// TestOversizedWebhook: a webhook that the broker takes in no message is refused and not lost. Its dead letter says so, and
// the whole of it is in the object store for originals.
func TestOversizedWebhook(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 256 << 10 })
	const key = "a-secret-of-24-characters"
	cfg := config.Default()
	cfg.NATS.URL, cfg.HTTP.Listen, cfg.Admin.Listen, cfg.Roles = s.URL(), "127.0.0.1:0", "127.0.0.1:0", []string{config.RoleIngress}
	cfg.Clouds = []config.Cloud{{
		Name: "acme", Source: "urn:factro:cloud:acme",
		Webhook: config.Webhook{Header: "X-Bridge-Key", Secrets: []secret.Source{{Value: key}}},
	}}
	b, err := New(cfg, "test", http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := b.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, listeners) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	post := func(body string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listeners.HTTP.Addr().String()+"/webhooks/acme", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Bridge-Key", key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	natstest.Eventually(t, "a small webhook is accepted", func() bool { // it answers once it is connected
		return post(`{"action":"TaskCreated"}`) == http.StatusAccepted
	})
	body := `{"action":"TaskCreated","note":"` + strings.Repeat("x", 512<<10) + `"}`
	if status := post(body); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large webhook is answered %d", status)
	}
	client, err := client.Dial(bus.Config{URL: s.URL(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	l, err := deadletter.Get(t.Context(), client, "factro", "acme", 1)
	if err != nil {
		t.Fatal(err)
	}
	if l.Code != "too_large" || !l.Partial || l.Kept == "" {
		t.Errorf("the letter has the code %q, is in part %t, and its original is %q", l.Code, l.Partial, l.Kept)
	}
	if whole, err := deadletter.Original(t.Context(), client, "factro", l); err != nil || string(whole.Data) != body {
		t.Errorf("the original has %d bytes of %d, %v", len(whole.Data), len(body), err)
	}
	if _, err := deadletter.Get(t.Context(), client, "factro", "acme", 2); !errors.Is(err, deadletter.ErrNotFound) {
		t.Errorf("a second letter: %v", err)
	}
}
