package bus

import (
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

// TestEmbedded: the server in this process, reached without a network, and by others if it listens.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round, listen := range []string{"", "127.0.0.1:0"} {
		s, err := embedded.Start(embedded.Config{DataDir: dir, Listen: listen, SyncAlways: true})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Connect(Config{URL: "nats://embedded", Server: s, Prefix: "factro", Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: time.Second}, quiet(), withStreams(quiet()))
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, b.Run)
		ready(t, b)
		stream, err := b.js.Stream(t.Context(), "FACTRO_EVENTS_ACME")
		if err != nil {
			t.Fatal(err)
		}
		if n := stream.CachedInfo().State.Msgs; n != uint64(round) {
			t.Errorf("in round %d the stream has %d messages", round, n)
		}
		if err := publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, "e-1"+listen), "e-1"+listen); err != nil {
			t.Fatal(err)
		}
		if (s.URL() == "") != (listen == "") {
			t.Errorf("it listens at %q", s.URL())
		}
		stop()
		b.Close()
		s.Close()
	}
	for _, listen := range []string{"nonsense", "127.0.0.1:x"} {
		if _, err := embedded.Start(embedded.Config{DataDir: t.TempDir(), Listen: listen}); err == nil {
			t.Errorf("it listens at %q", listen)
		}
	}
}
