// Package gap has the data of the events by which the bridge reports a gap in its own stream of events: webhooks that never
// arrived, and that factro's stored payloads had. In comes such an event, out goes its data. It searches for no gap itself.
package gap

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Actions of the events about a gap. They are the bridge's, not factro's, and their resource is events.ResourceBridge:
// EventFilter("acme", events.ResourceBridge, events.Any, gap.Detected).
const (
	Detected = "GapDetected" // events are missing, and about to be published
	Closed   = "GapClosed"   // they were published
)

// Types of the events about gaps.
const (
	TypePrefix   = "com.factro.bridge."
	DetectedType = TypePrefix + "gap.detected"
	ClosedType   = TypePrefix + "gap.closed"
)

// MaxRecords is how many of the missing records a gap lists.
const MaxRecords = 100

// Gap is the data of an event about a gap: what factro's stored payloads had and the stream of events had not.
type Gap struct {
	// GapID is the gap's; the event about its end has the same. A gap without an end was cut short, and the next
	// one begins with what was left of it.
	GapID string `json:"gapId"`
	// Since and Until are the time, by the records' createdAt, that was compared.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Missing is how many events were missing, ByAction how many of each action.
	Missing  int            `json:"missing"`
	ByAction map[string]int `json:"byAction"`
	// Records are the first MaxRecords of them, the oldest first.
	Records []Record `json:"records"`
	// Published is how many were published: 0 when the gap is detected.
	Published int `json:"published"`
}

// Record is a missing event: the id under which it is published, and what it is about.
type Record struct {
	ID        string    `json:"id"`
	Action    string    `json:"action"`
	Subject   string    `json:"subject,omitempty"` // <resource>/<id>, if the record names an object
	CreatedAt time.Time `json:"createdAt"`
}

// Of decodes the data of an event about a gap. It is an error if the event is no such event.
func Of(e event.Event) (Gap, error) {
	var g Gap
	if t := e.Type(); t != DetectedType && t != ClosedType {
		return g, fmt.Errorf("the event is of the type %s, want %s or %s", binding.Quote(t), DetectedType, ClosedType)
	}
	if err := json.Unmarshal(e.Data(), &g); err != nil {
		return g, fmt.Errorf("data of %s: %w", e.Type(), err)
	}
	return g, nil
}
