package bustest

import (
	"encoding/json"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
)

// EventSubject is where TaskEvent belongs.
const EventSubject = "factro.event.acme.task.1.TaskStateChanged"

// TaskEvent is an event as the ingress makes it.
func TaskEvent(t testing.TB, id string) event.Event {
	t.Helper()
	e := event.Event{Context: &event.EventContextV1{ID: id}} // the setter trims
	e.SetSource("urn:factro:cloud:acme")
	e.SetType("com.factro.TaskStateChanged")
	if err := e.SetData("application/json", json.RawMessage(`{"action":"TaskStateChanged","context":{"entityId":"1"}}`)); err != nil {
		t.Fatal(err)
	}
	return e
}
