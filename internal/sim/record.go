package sim

import (
	"time"
)

// Request is one request to the Core API, as in the log.
type Request struct {
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`      // escaped, below /api/core, without the query
	Operation string    `json:"operation"` // empty for an unknown route
	Status    int       `json:"status"`    // 0 if the connection was cut
	Applied   bool      `json:"applied"`   // whether the operation was carried out, independent of the answer
	Fault     FaultKind `json:"fault,omitempty"`
}
