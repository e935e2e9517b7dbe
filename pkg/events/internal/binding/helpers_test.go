package binding_test

import (
	"fmt"
	"maps"
	"net/url"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

func uri(t testing.TB, s string) url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return *u
}

// taskEvent returns an event with ten attributes, as the bridge makes them.
func taskEvent(t testing.TB) event.Event {
	t.Helper()
	return event.Event{
		Context: &event.EventContextV1{
			ID:              "0198c3a4-5b6c-7d8e-9f01-23456789abcd",
			Source:          types.URIRef{URL: uri(t, "urn:factro:cloud:acme")},
			Type:            "com.factro.TaskStateChanged",
			Subject:         new("task/8d3f6c1e"),
			Time:            &types.Timestamp{Time: time.Date(2026, 1, 31, 9, 30, 0, 123456789, time.UTC)},
			DataContentType: new("application/json"),
			Extensions: map[string]any{
				attr.TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
				attr.Action:      "TaskStateChanged",
				attr.Cloud:       "acme",
			},
		},
		DataEncoded: []byte(`{"action":"TaskStateChanged"}`),
	}
}

// canonical returns the attributes of an event in their string forms.
func canonical(t testing.TB, e event.Event) map[string]string {
	t.Helper()
	m := map[string]string{
		"specversion":     e.SpecVersion(),
		"id":              e.ID(),
		"source":          e.Source(),
		"type":            e.Type(),
		"datacontenttype": e.DataContentType(),
		"dataschema":      e.DataSchema(),
		"subject":         e.Subject(),
		"time":            e.Time().UTC().Format(time.RFC3339Nano),
	}
	for name, value := range e.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			t.Fatalf("extension %s: %v", name, err)
		}
		m[name] = text
	}
	return m
}

// wantSame fails if two events differ in an attribute or in their data.
func wantSame(t testing.TB, got, want event.Event) {
	t.Helper()
	if g, w := canonical(t, got), canonical(t, want); !maps.Equal(g, w) {
		t.Errorf("attributes\n got %q\nwant %q", g, w)
	}
	if g, w := string(got.Data()), string(want.Data()); g != w {
		t.Errorf("data\n got %q\nwant %q", g, w)
	}
}

type encoder struct {
	name   string
	encode func(string, event.Event) (*nats.Msg, error)
}

var encoders = []encoder{{"binary", binding.ToMsg}, {"structured", binding.ToStructuredMsg}}

func roundTrip(t testing.TB, encode encoder, e event.Event) event.Event {
	t.Helper()
	m, err := encode.encode("test", e)
	if err != nil {
		t.Fatalf("%s: %v", encode.name, err)
	}
	got, err := binding.FromMsg(m.Header, m.Data)
	if err != nil {
		t.Fatalf("%s: %v\n%s", encode.name, err, describe(m))
	}
	return got
}

func describe(m *nats.Msg) string { return fmt.Sprintf("%q\n%q", m.Header, m.Data) }
