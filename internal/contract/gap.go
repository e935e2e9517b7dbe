package contract

import (
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// gapKinds are the events about a gap, in their order.
var gapKinds = []struct{ name, action, title, summary string }{
	{
		"event.gap.detected", events.GapDetected, "Gap detected",
		"factro's stored payloads have records without an event in the stream. Those are published next, with factroorigin reconcile.",
	},
	{"event.gap.closed", events.GapClosed, "Gap closed", "The missing events of a gap were published."},
}

// gaps tells the bridge's own events. They stand among factro's, so a subscriber to all events of a cloud gets them, too.
func (d *document) gaps() error {
	if d.resource != "" && d.resource != events.ResourceBridge {
		return nil
	}
	for _, g := range gapKinds {
		s, err := gapSample(d.prefix, g.action)
		if err != nil {
			return err
		}
		d.message(g.name, object{
			{"name", events.EventTypePrefix + "bridge." + strings.TrimPrefix(g.name, "event.")},
			{"title", g.title},
			{"summary", g.summary},
			{"payload", reference(componentsPrefix + "Gap")},
			{"traits", trait("event")},
			{"examples", list{s.example(g.title)}},
		})
		d.channel(g.name, d.prefix.Event("cloud", events.ResourceBridge, "id", g.action), g.title, d.streams[0], parameters("cloud", "id"))
		d.operation(g.name, "send", object{{"summary", g.summary}})
	}
	return nil
}

func gapSample(p events.Prefix, action string) (sample, error) {
	gap := exampleGap()
	if action == events.GapClosed {
		gap.Published = gap.Missing
	}
	e, err := translate.Gap(exampleCloud, action, gap, exampleTime.Add(time.Hour))
	if err != nil {
		return sample{}, fmt.Errorf("example of %s: %w", action, err)
	}
	return sampleOf(p.Event(exampleCloud, events.ResourceBridge, gap.GapID, action), e)
}

func gapRecord() events.GapRecord {
	return events.GapRecord{
		ID: "00000000-0000-4000-8000-0000000000aa", Action: "TaskExecutorChanged", Subject: "task/" + exampleEntityID, CreatedAt: exampleTime,
	}
}

func exampleGap() events.Gap {
	return events.Gap{
		GapID: "0198f2a5-7f00-7000-8000-000000000003", Since: exampleTime.Add(-10 * time.Minute), Until: exampleTime.Add(55 * time.Minute),
		Missing: 1, ByAction: map[string]int{"TaskExecutorChanged": 1}, Records: []events.GapRecord{gapRecord()},
	}
}

// gapSchema is events.Gap.
func gapSchema() map[string]any {
	count := func(doc string) map[string]any {
		return map[string]any{"type": "integer", "minimum": 0, "description": doc}
	}
	return map[string]any{
		"type": "object", "required": list{"gapId", "since", "until", "missing", "byAction", "records", "published"},
		"description": "What factro's stored payloads had and the stream of events had not.",
		"properties": map[string]any{
			"gapId":     map[string]any{"type": "string", "description": "The gap's id. The event that reports its end has the same."},
			"since":     instant("Where the time begins that was compared, by the records' createdAt."),
			"until":     instant("Where it ends."),
			"missing":   count("How many events were missing."),
			"published": count("How many of them were published: 0 when the gap is detected."),
			"byAction": map[string]any{
				"type": "object", "additionalProperties": map[string]any{"type": "integer", "minimum": 1},
				"description": "How many of each action were missing.",
			},
			"records": map[string]any{
				"type": "array", "maxItems": events.MaxGapRecords,
				"description": fmt.Sprintf("The missing events, the oldest first, at most %d.", events.MaxGapRecords),
				"items": map[string]any{
					"type": "object", "required": list{"id", "action", "createdAt"},
					"properties": map[string]any{
						"id":        map[string]any{"type": "string", "description": "The id of the event that is published."},
						"action":    map[string]any{"type": "string", "description": "factro's name of the action."},
						"subject":   map[string]any{"type": "string", "description": "What it is about, <resource>/<id>, if the record names an object."},
						"createdAt": instant("When it happened, by factro's clock."),
					},
				},
			},
		},
	}
}
