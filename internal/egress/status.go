package egress

import (
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Status says why commands wait, as far as this process knows: the command that is in flight for the longest time, and what blocks calls to factro.
func (w *Worker) Status() status.Status {
	s := status.Status{Cloud: w.cloud, At: time.Now().UTC(), InFlight: w.inFlight.Status()}
	s.Factro, s.Paused = w.api.Conditions()
	return s
}
