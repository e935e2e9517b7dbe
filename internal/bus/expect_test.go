package bus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// guest is a short-lived client with the permissions of the bridge.
func guest(t *testing.T, b *broker) *Client {
	t.Helper()
	cfg := Config{URL: b.Running.ClientURL()}
	asBridge(&cfg)
	c, err := Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.CollectRefusals()
	return c
}

// TestExpect: what comes is found, whenever it came.
func TestExpect(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, users(nil))
	b := run(t, broker.connect(t, quiet()))
	c := guest(t, broker)
	for _, early := range []bool{false, true} {
		if early {
			storeEvent(t, b, "e-1")
		}
		e, err := c.Expect(t.Context(), "FACTRO_EVENTS_ACME", eventSubject)
		if err != nil {
			t.Fatal(err)
		}
		if !early {
			storeEvent(t, b, "e-1")
		}
		m, err := e.Next(t.Context())
		if err != nil || m.Subject != eventSubject || m.Event.ID() != "e-1" {
			t.Errorf("got %+v, %v", m, err)
		}
	}
}

// TestExpectRefused: a permission that is missing looks like an event that does not come, so it is told.
func TestExpectRefused(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"$JS.API.DIRECT.GET.>"} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			broker := startBroker(t, users(denied(subject, "")))
			run(t, broker.connect(t, quiet()))
			c := guest(t, broker)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			e, err := c.Expect(ctx, "FACTRO_EVENTS_ACME", eventSubject)
			if err == nil {
				_, err = e.Next(ctx)
			}
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), strings.TrimSuffix(subject, ">")) {
				t.Errorf("got %v", err)
			}
			if err := c.Why(context.DeadlineExceeded, "factro.query."); strings.Contains(err.Error(), "ermission") {
				t.Errorf("a query that is late has another reason: %v", err)
			}
		})
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
