package reconcile

import (
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Report is what one run found and did.
type Report struct {
	Cloud string `json:"cloud"`
	// Since and Until are the time, by the records' createdAt, in which a record without an event is missing.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// DryRun says that nothing was published.
	DryRun bool `json:"dryRun,omitempty"`
	// Records is how many records factro's list had. Foreign are those of webhooks that call somebody else, Unusable those
	// that have no action or no time; neither is compared.
	Records  int `json:"records"`
	Foreign  int `json:"foreign"`
	Unusable int `json:"unusable"`
	// Young are the records without an event that are not old enough to be missing.
	Young   int     `json:"young"`
	Matched Matched `json:"matched"`
	// Missing is how many records of that time have no event, ByAction how many of each action, and Gaps lists them, the
	// oldest first: of the first 1000, or of all if the request wants all. Published is how many were published.
	Missing   int                `json:"missing"`
	ByAction  map[string]int     `json:"byAction"`
	Gaps      []events.GapRecord `json:"gaps"`
	Published int                `json:"published"`
}

// Matched counts the records that have an event, by how it was found.
type Matched struct {
	ID      int `json:"id"`
	Context int `json:"context"`
	Entity  int `json:"entity"`
	Action  int `json:"action"`
}

func (m *Matched) count(by means) {
	switch by {
	case byID:
		m.ID++
	case byContext:
		m.Context++
	case byEntity:
		m.Entity++
	case byAction:
		m.Action++
	case unmatched:
	}
}
