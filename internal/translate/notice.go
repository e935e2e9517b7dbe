package translate

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
)

// Notice makes the event by which a bridge reports that something about it changed.
func Notice(what, id string, n notice.Notice, now time.Time) (event.Event, error) {
	if !slices.Contains(notice.All(), what) {
		return event.Event{}, fmt.Errorf("event of the bridge: %q is nothing that it reports", what)
	}
	e := event.New()
	e.SetID(id)
	e.SetSource("urn:factro:bridge:" + n.Cloud)
	e.SetType(notice.TypePrefix + what)
	e.SetTime(now.UTC())
	e.SetExtension(attr.Cloud, n.Cloud)
	e.SetDataSchema(events.SchemaURI("notice"))
	if err := e.SetData(event.ApplicationJSON, n); err != nil {
		return event.Event{}, fmt.Errorf("event of the bridge: %w", err)
	}
	return e, nil
}
