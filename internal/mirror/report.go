package mirror

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Request is what an operator wants of the mirror of a cloud: Status, or a sweep.
type Request struct {
	Want string `json:"want"`
}

// Status asks only how far the mirror is.
const Status = "status"

// Report is how far the mirror of a cloud is.
type Report struct {
	Cloud string `json:"cloud"`
	Progress
	// Backlog is how many objects wait to be read, and BacklogAge for how many seconds the oldest has waited.
	Backlog    int     `json:"backlog"`
	BacklogAge float64 `json:"backlogAge"`
	// ObjectsPerSecond is the rate of the sweep that goes on, SecondsLeft how long the lists of its resource will take.
	ObjectsPerSecond float64 `json:"objectsPerSecond,omitempty"`
	SecondsLeft      float64 `json:"secondsLeft,omitempty"`
}

// answer answers an operator.
func (s *session) answer(request []byte) queries.Answer {
	var r Request
	if err := json.Unmarshal(request, &r); err != nil {
		return mistaken(`the request is not of the form {"want": "status"}`)
	}
	switch {
	case r.Want == Status:
	case slices.Contains([]string{Snapshot, Verify, Diff}, r.Want):
		if running := s.look().Sweep; running != nil {
			if running.Kind != r.Want {
				return queries.Answer{Status: http.StatusConflict, Error: &events.Error{
					Code: events.CodeUnavailable, Message: fmt.Sprintf("a %s goes on; wait until it has ended", running.Kind),
				}}
			}
			break // it is what was wanted
		}
		select {
		case s.wanted <- r.Want:
		default: // another one has asked just now
		}
	default:
		return mistaken(fmt.Sprintf("%.40q cannot be wanted, only status, snapshot, verify and diff", r.Want))
	}
	text, err := json.Marshal(s.report(time.Now()))
	if err != nil {
		return queries.Answer{Status: http.StatusInternalServerError, Error: &events.Error{Code: events.CodeUnavailable, Message: err.Error()}}
	}
	return queries.Answer{Status: http.StatusOK, Data: text}
}

func mistaken(why string) queries.Answer {
	return queries.Answer{Status: http.StatusBadRequest, Error: &events.Error{Code: events.CodeInvalid, Message: why}}
}

func (s *session) report(now time.Time) Report {
	r := Report{Cloud: s.cfg.Cloud, Progress: s.look()}
	objects, oldest := s.queue.Backlog(now)
	r.Backlog, r.BacklogAge = objects, oldest.Seconds()
	if r.Sweep == nil {
		return r
	}
	if took := now.Sub(r.Sweep.Started).Seconds(); took > 0 {
		r.ObjectsPerSecond = float64(r.Sweep.Objects) / took
	}
	if perSecond, _ := s.parts.API.Pace(); perSecond > 0 {
		r.SecondsLeft = float64(r.Sweep.ListsLeft) / (perSecond * s.cfg.Share)
	}
	return r
}
