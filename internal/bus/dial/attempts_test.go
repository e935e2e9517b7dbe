package dial

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/nats-io/nats.go"
)

// TestSameAddressTwice: an address that is given twice does not keep those behind it from being tried.
func TestSameAddressTwice(t *testing.T) {
	t.Parallel()
	pool := func(addresses ...string) (all []nats.Server) {
		for _, address := range addresses {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, nats.Server{URL: u})
		}
		return all
	}
	for name, tt := range map[string]struct {
		pool []nats.Server
		want int // addresses
	}{
		"the same":     {pool("nats://a:1", "nats://a:1", "nats://b:1", "nats://a:1", "nats://c:1"), 3},
		"other users":  {pool("nats://u:p@a:1", "nats://v:p@a:1", "nats://b:1"), 3},
		"all the same": {pool("nats://a:1", "nats://a:1"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := NewAttempts(Config{}, DefaultRhythm, func() error { return nil }, slog.New(slog.DiscardHandler))
			a.last = "a:1"
			seen := map[string]bool{}
			for range 2 * len(tt.pool) {
				s, _ := a.Choose(slices.Clone(tt.pool), nats.ServerInfo{})
				seen[s.URL.String()] = true
				a.mu.Lock()
				a.last = s.URL.Host // as the dial says
				a.mu.Unlock()
			}
			if len(seen) != tt.want {
				t.Errorf("tried %v", seen)
			}
		})
	}
}

// TestAddresses: what cannot work, or not as it reads, is refused, and a password is never quoted.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"nats://h:4222": "", "h:4222": "", "tls://h": "", "NATS://h": "", "nats://[::1]:4222": "", "[::1]:4222": "", "nats://h:4222/": "",
		"wss://h/nats": "", "ws://h:80/a, wss://i": "", "tls://h, nats://i": "", "nats://token@h": "", "nats://u:p@h,i:4222": "",
		"http://h:4222": "begins with", "redis://h": "begins with", "nats://h:4222/path": "behind the port", "nats://h?tls=true": "behind the port",
		"nats://h#a": "behind the port", "ws://h:80,nats://i": "mixed", "nats://i,h,wss://h": "mixed", "nats://h,": "address 2", "nats://::1:4222": "port",
		"http://u:geheim@h": "begins with", "nats://u:geheim@h?x=geheim": "behind the port",
	} {
		err := checkAddresses(address)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, cfg := range []Config{{CredsFile: "file"}, {NkeyFile: "file"}, {User: secret.Source{Value: "u"}, Password: secret.Source{Value: "p"}}} {
		for _, url := range []string{"nats://u:p@h", "nats://token@h"} {
			cfg.URL = url
			if err := cfg.ValidateConnection(); err == nil || !strings.Contains(err.Error(), "one ") {
				t.Errorf("%s beside other credentials: %v", url, err)
			}
		}
	}
}

// TestDialIsBounded: an address where nobody answers costs one timeout.
func TestDialIsBounded(t *testing.T) {
	t.Parallel()
	began := time.Now()
	if conn, err := dialServer("tcp", "192.0.2.1:4222", dialTimeout); err == nil {
		_ = conn.Close()
		t.Error("somebody answers")
	}
	if took := time.Since(began); took > dialTimeout+500*time.Millisecond {
		t.Errorf("a dial took %s", took)
	}
}
