package bustest

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// Users has a server know the user bridge, with these permissions. Everybody else may do all.
func Users(p *server.Permissions) func(*server.Options) {
	return func(o *server.Options) {
		o.NoAuthUser = "admin"
		o.Users = []*server.User{{Username: "admin", Password: "a"}, {Username: "bridge", Password: "b", Permissions: p}}
	}
}

// AsBridge connects as the user of Users.
func AsBridge(c *bus.Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:b@", 1) }

// Denied are permissions for all but these subjects.
func Denied(publish, subscribe string) *server.Permissions {
	p := &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}}, Subscribe: &server.SubjectPermission{Allow: []string{">"}}}
	if publish != "" {
		p.Publish.Deny = []string{publish}
	}
	if subscribe != "" {
		p.Subscribe.Deny = []string{subscribe}
	}
	return p
}

// Dial returns a connection of the command line.
func Dial(t testing.TB, s *natstest.Server, change ...func(*bus.Config)) *client.Client {
	t.Helper()
	cfg := bus.Config{URL: s.URL(), Name: "test"}
	for _, c := range change {
		c(&cfg)
	}
	client, err := client.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
