package translate

import (
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// gapTypes are the types of the events about a gap, and the suffixes of their ids after the gap's id.
var gapTypes = map[string]struct{ eventType, suffix string }{
	events.GapDetected: {events.GapDetectedType, ".detected"},
	events.GapClosed:   {events.GapClosedType, ".closed"},
}

// Gap makes the event that reports a gap: action is events.GapDetected or events.GapClosed.
func Gap(cloud, action string, gap events.Gap, now time.Time) (event.Event, error) {
	kind, known := gapTypes[action]
	if !known {
		return event.Event{}, fmt.Errorf("event about a gap: %q is not an action of a gap", action)
	}
	e := event.New()
	e.SetID(gap.GapID + kind.suffix)
	e.SetSource("urn:factro:bridge:" + cloud)
	e.SetType(kind.eventType)
	e.SetSubject(events.ResourceBridge + "/" + gap.GapID)
	e.SetTime(now.UTC())
	e.SetExtension(attr.RecordedTime, types.Timestamp{Time: now.UTC()})
	e.SetExtension(attr.Action, action)
	e.SetExtension(attr.Cloud, cloud)
	e.SetExtension(attr.Origin, "reconcile")
	e.SetDataSchema(events.SchemaURI("gap"))
	if err := e.SetData(event.ApplicationJSON, gap); err != nil {
		return event.Event{}, fmt.Errorf("event about a gap: %w", err)
	}
	return e, nil
}
