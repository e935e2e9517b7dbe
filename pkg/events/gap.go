package events

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Actions of the events by which the bridge tells of a gap in its own stream of events. They are the bridge's, not
// factro's, and their resource is ResourceBridge: EventFilter("acme", ResourceBridge, Any, GapDetected).
const (
	ResourceBridge = "bridge"
	GapDetected    = "GapDetected" // events are missing, and about to be published
	GapClosed      = "GapClosed"   // they were published
)

// ActionCanary is the action of the webhooks that "bridge canary" sends to see whether one arrives. factro has no such
// action. Their events are of ResourceBridge, too: leave them out where they are not wanted.
const ActionCanary = "BridgeCanary"

// OperationCanary is the operation of the command that "bridge canary" sends, on ResourceBridge. The bridge answers it itself:
// the result is applied, factro is not called, and nothing is remembered.
const OperationCanary = "canary"

// Types of the events about gaps.
const (
	GapTypePrefix   = "com.factro.bridge."
	GapDetectedType = GapTypePrefix + "gap.detected"
	GapClosedType   = GapTypePrefix + "gap.closed"
)

// MaxGapRecords is how many of the missing records a gap tells one by one.
const MaxGapRecords = 100

// Gap is the data of an event about a gap: what factro's stored payloads had and the stream of events had not.
type Gap struct {
	// GapID is the gap's; the event that tells of its end has the same. A gap without an end was cut short, and the next
	// one begins with what was left of it.
	GapID string `json:"gapId"`
	// Since and Until are the time, by the records' createdAt, that was compared.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Missing is how many events were missing, ByAction how many of each action.
	Missing  int            `json:"missing"`
	ByAction map[string]int `json:"byAction"`
	// Records are the first MaxGapRecords of them, the oldest first.
	Records []GapRecord `json:"records"`
	// Published is how many were published: 0 when the gap is detected.
	Published int `json:"published"`
}

// GapRecord is a missing event: the id under which it is published, and what it is about.
type GapRecord struct {
	ID        string    `json:"id"`
	Action    string    `json:"action"`
	Subject   string    `json:"subject,omitempty"` // <resource>/<id>, if the record names an object
	CreatedAt time.Time `json:"createdAt"`
}

// GapOf decodes the data of an event about a gap. It is an error if the event is no such event.
func GapOf(e event.Event) (Gap, error) {
	var g Gap
	if t := e.Type(); t != GapDetectedType && t != GapClosedType {
		return g, fmt.Errorf("the event is of the type %s, want %s or %s", binding.Quote(t), GapDetectedType, GapClosedType)
	}
	if err := json.Unmarshal(e.Data(), &g); err != nil {
		return g, fmt.Errorf("data of %s: %w", e.Type(), err)
	}
	return g, nil
}
