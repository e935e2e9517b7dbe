package contract

import (
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
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

// gaps describes the bridge's own events. They stand among factro's, so a subscriber to all events of a cloud gets them, too.
func (d *document) gaps() error {
	if d.resource != "" && d.resource != events.ResourceBridge {
		return nil
	}
	for _, g := range gapKinds {
		s, err := gapSample(d.prefix, g.action)
		if err != nil {
			return err
		}
		d.message(g.name, ordered.Object{
			{"name", events.EventTypePrefix + "bridge." + strings.TrimPrefix(g.name, "event.")},
			{"title", g.title},
			{"summary", g.summary},
			{"payload", reference(componentsPrefix + "Gap")},
			{"traits", trait("event")},
			{"examples", ordered.List{s.example(g.title)}},
		})
		d.channel(g.name, d.prefix.Event("cloud", events.ResourceBridge, "id", g.action), g.title, d.streams[0], parameters("cloud", "id"))
		d.operation(g.name, "send", ordered.Object{{"summary", g.summary}})
	}
	return nil
}

func gapSample(p events.Prefix, action string) (sample, error) {
	gap := ExampleGap()
	if action == events.GapClosed {
		gap.Published = gap.Missing
	}
	e, err := translate.Gap(ExampleCloud, action, gap, ExampleTime.Add(time.Hour))
	if err != nil {
		return sample{}, fmt.Errorf("example of %s: %w", action, err)
	}
	return sampleOf(p.Event(ExampleCloud, events.ResourceBridge, gap.GapID, action), e)
}

func gapRecord() events.GapRecord {
	return events.GapRecord{
		ID: "00000000-0000-4000-8000-0000000000aa", Action: "TaskExecutorChanged", Subject: "task/" + exampleEntityID, CreatedAt: ExampleTime,
	}
}

// ExampleGap is an event about a gap to show.
func ExampleGap() events.Gap {
	return events.Gap{
		GapID: "0198f2a5-7f00-7000-8000-000000000003", Since: ExampleTime.Add(-10 * time.Minute), Until: ExampleTime.Add(55 * time.Minute),
		Missing: 1, ByAction: map[string]int{"TaskExecutorChanged": 1}, Records: []events.GapRecord{gapRecord()},
	}
}
