package client_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func TestDialSaysAtOnce(t *testing.T) {
	t.Parallel()
	if _, err := client.Dial(dial.Config{URL: natstest.New(t).URL()}); err == nil {
		t.Error("connected to nobody")
	}
}

func TestWaitStreamsGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := bustest.Dial(t, natstest.Start(t)).WaitStreams(ctx, "factro", "acme"); err == nil {
		t.Error("there are no streams")
	}
}

// TestOutageBegunBefore: who asks for outages while there is one hears of it, and of its end.
func TestOutageBegunBefore(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	c := bustest.Dial(t, server)
	server.Stop()
	natstest.Eventually(t, "the connection is lost", func() bool { return !c.JetStream().Conn().IsConnected() })
	outages := make(chan bool, 10)
	bustest.Start(t, func(ctx context.Context) error { c.Outages(ctx, func(up bool) { outages <- up }); return nil })
	if natstest.Receive(t, outages) {
		t.Error("the outage is reported as its end")
	}
	server.Start()
	if !natstest.Receive(t, outages) {
		t.Error("the end of the outage is reported as another outage")
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
		_, err := client.Dial(dial.Config{URL: address})
		if err == nil || strings.Contains(err.Error(), "geh") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
