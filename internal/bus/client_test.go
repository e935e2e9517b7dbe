package bus

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

func dialed(t testing.TB, server *broker) *Client {
	t.Helper()
	c, err := Dial(Config{URL: server.url(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestDialSaysAtOnce(t *testing.T) {
	t.Parallel()
	if _, err := Dial(Config{URL: newBroker(t).url()}); err == nil {
		t.Error("connected to nobody")
	}
}

func TestWaitStreamsGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := dialed(t, startBroker(t)).WaitStreams(ctx, "factro", "acme"); err == nil {
		t.Error("there are no streams")
	}
}

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
		if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"+listen), "e-1"+listen); err != nil {
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

// TestDialHidesPasswords: they may stand in an address, and the command line prints why it did not connect.
func TestDialHidesPasswords(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"nats://müller:geheim@127.0.0.1:1":                           "nats://[hidden]@127.0.0.1:1",
		"nats://geheim@127.0.0.1:1":                                  "nats://[hidden]@127.0.0.1:1",
		"nats://127.0.0.1:1, tls://m:geheim@127.0.0.1:2,127.0.0.1:3": "nats://127.0.0.1:1,",
		"nats://m:ge,h@127.0.0.1:1":                                  "nats://[hidden]@127.0.0.1:1",
		"nats://geh:1,2@127.0.0.1:1":                                 "a comma as %2C",
		"nats://geh:12,34,geheim@127.0.0.1:1":                        "a comma as %2C",
		"nats://geh:1/2@127.0.0.1:1":                                 "/ as %2F",
		"nats://geh:1?2@127.0.0.1:1":                                 "? as %3F",
		"nats://geh:1#2@127.0.0.1:1":                                 "# as %23",
		"nats://m:geh%2Cei%40m@127.0.0.1:1":                          "nats://[hidden]@127.0.0.1:1",
		"müller:geheim@127.0.0.1:1":                                  " [hidden]@127.0.0.1:1",
		"nats://m:geheim%ss@127.0.0.1:1":                             "nats://[hidden]@127.0.0.1:1",
		"nats://m:geh/geheim@127.0.0.1:1":                            "nats://[hidden]@127.0.0.1:1",
		"nats://127.0.0.1:1":                                         "nats://127.0.0.1:1",
	} {
		_, err := Dial(Config{URL: address})
		if err == nil || strings.Contains(err.Error(), "geh") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
