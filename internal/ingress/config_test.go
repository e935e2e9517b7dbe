package ingress_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	cloud := func(change func(*ingress.Cloud)) func(*ingress.Config) {
		return func(c *ingress.Config) { change(&c.Clouds[0]) }
	}
	header := func(name string) func(*ingress.Config) {
		return cloud(func(c *ingress.Cloud) { c.Header = name })
	}
	const inHeader = "clouds[0].webhook.header"
	for name, tt := range map[string]struct {
		change func(*ingress.Config)
		want   string
	}{
		"valid":                 {func(*ingress.Config) {}, ""},
		"smallest body":         {func(c *ingress.Config) { c.MaxBody = 1 << 10 }, ""},
		"largest body":          {func(c *ingress.Config) { c.MaxBody, c.MaxMemory = 64<<20, 1<<30 }, ""},
		"body too small":        {func(c *ingress.Config) { c.MaxBody = 1<<10 - 1 }, "http.max_body"},
		"body too large":        {func(c *ingress.Config) { c.MaxBody, c.MaxMemory = 64<<20+1, 1<<30 }, "http.max_body"},
		"too little memory":     {func(c *ingress.Config) { c.MaxMemory = 44<<10 - 1 }, "http.max_memory"},
		"just enough memory":    {func(c *ingress.Config) { c.MaxMemory = 44 << 10 }, ""},
		"no connections":        {func(c *ingress.Config) { c.MaxConnections, c.MaxConnectionsPerAddress = 15, 15 }, "http.max_connections: "},
		"hardly one an address": {func(c *ingress.Config) { c.MaxConnectionsPerAddress = 3 }, "http.max_connections_per_address"},
		"an address has more":   {func(c *ingress.Config) { c.MaxConnectionsPerAddress = 101 }, "http.max_connections_per_address"},
		"hardly any idle time":  {func(c *ingress.Config) { c.IdleTimeout = 4 * time.Second }, "http.idle_timeout"},
		"nobody admitted":       {func(c *ingress.Config) { c.MaxInFlight = 0 }, "http.max_in_flight"},
		"no time to store":      {func(c *ingress.Config) { c.StoreTimeout = 0 }, "http.store_timeout"},
		"all the time to store": {func(c *ingress.Config) { c.StoreTimeout = 30 * time.Second }, ""},
		"more than that":        {func(c *ingress.Config) { c.StoreTimeout = 31 * time.Second }, "http.store_timeout"},
		"no source":             {cloud(func(c *ingress.Cloud) { c.Source = "" }), "clouds[0].source"},
		"source is not a URI":   {cloud(func(c *ingress.Cloud) { c.Source = "http://[::1" }), "clouds[0].source"},
		"authorization":         {header("authorization"), ""},
		"odd, but a name":       {header("x_key!~"), ""},
		"no header":             {header(""), inHeader},
		"blank in header":       {header("X Key"), inHeader},
		"blank after header":    {header("X-Key "), inHeader},
		"colon":                 {header("X-Key:"), inHeader},
		"brackets":              {header("X(Key)"), inHeader},
		"umlaut":                {header("X-Schlüssel"), inHeader},
		"line end":              {header("X-Key\n"), inHeader},
		"host":                  {header("host"), inHeader},
		"framing":               {header("transfer-encoding"), inHeader},
		"no secrets":            {cloud(func(c *ingress.Cloud) { c.Secrets = nil }), "secrets: none"},
		"empty secret":          {cloud(func(c *ingress.Cloud) { c.Secrets = []secret.Source{{}} }), "secrets[0]"},
		"short secret":          {cloud(func(c *ingress.Cloud) { c.Secrets = values(oldSecret, "1234567") }), "secrets[1]"},
		"blanks are no secret":  {cloud(func(c *ingress.Cloud) { c.Secrets = values("            ") }), "secrets[0]"},
		"file and value":        {cloud(func(c *ingress.Cloud) { c.Secrets[0].File = "f" }), "secrets[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			tt.change(&cfg)
			_, err := ingress.New(cfg, &memoryStore{}, slog.New(slog.DiscardHandler))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want only %q", err, tt.want)
			}
			wantNothingShown(t, "the error", err.Error())
		})
	}
}

func TestConfigValidateReportsAll(t *testing.T) {
	t.Parallel()
	err := ingress.Config{Clouds: []ingress.Cloud{{}, {Secrets: values("short")}}}.Validate()
	for _, want := range []string{
		"http.max_body", "http.max_in_flight", "http.store_timeout",
		"clouds[0].source", "clouds[1].source", "header", "secrets: none", "secrets[0]",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not mentioned: %v", want, err)
		}
	}
}
