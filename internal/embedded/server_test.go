package embedded_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

// TestEmbeddedConnections: strangers cannot take all the descriptors of the process by connections to the embedded server.
func TestEmbeddedConnections(t *testing.T) {
	t.Parallel()
	const most = 3
	s, err := embedded.Start(embedded.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", MaxConnections: most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for n := range most + 1 {
		nc, err := nats.Connect(s.URL(), nats.NoReconnect())
		if n == most {
			if err == nil { // the server's words, or the end of the connection, whichever comes first
				nc.Close()
				t.Error("there is one too many")
			}
			break
		}
		if err != nil {
			t.Fatalf("connection %d: %v", n+1, err)
		}
		t.Cleanup(nc.Close)
	}
}
