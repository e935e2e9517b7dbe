package courier

import (
	"time"
)

// PayloadLine is a stored payload. Lost says that it is never delivered.
type PayloadLine struct {
	ID        string    `json:"id"`
	HookID    string    `json:"hookId"`
	Hook      Webhook   `json:"hook"`
	Action    string    `json:"action"`
	Entity    string    `json:"entity"`
	CreatedAt time.Time `json:"createdAt"`
	Lost      bool      `json:"lost,omitempty"`
}

// SettledLine says how the delivery of a payload ended.
type SettledLine struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Attempts int    `json:"attempts"`
}

// Journal records the stored payloads, and how each delivery ends.
type Journal interface {
	Payload(PayloadLine) error
	Settled(SettledLine) error
}
