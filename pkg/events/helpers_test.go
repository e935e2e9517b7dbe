package events_test

import (
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	eventtest "github.com/cloudevents/sdk-go/v2/test"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// taskEvent returns an event with ten attributes, as the bridge makes them.
func taskEvent() event.Event {
	e := event.New()
	e.SetID("0198c3a4-5b6c-7d8e-9f01-23456789abcd")
	e.SetSource("urn:factro:cloud:acme")
	e.SetType("com.factro.TaskStateChanged")
	e.SetSubject("task/8d3f6c1e")
	e.SetTime(time.Date(2026, 1, 31, 9, 30, 0, 123456789, time.UTC))
	e.SetDataContentType(event.ApplicationJSON)
	e.SetExtension(attr.TraceParent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	e.SetExtension(attr.Action, "TaskStateChanged")
	e.SetExtension(attr.Cloud, "acme")
	e.DataEncoded = []byte(`{"action":"TaskStateChanged"}`)
	return e
}

// passOn encodes an event and fails if another one comes back.
func passOn(t *testing.T, encode func(string, event.Event) (*nats.Msg, error), e event.Event) {
	t.Helper()
	m, err := encode("test", e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := events.FromMsg(m.Header, m.Data)
	if err != nil {
		t.Fatalf("%v\n%q\n%q", err, m.Header, m.Data)
	}
	eventtest.AssertEventEquals(t, eventtest.ConvertEventExtensionsToString(t, e), eventtest.ConvertEventExtensionsToString(t, got))
}
