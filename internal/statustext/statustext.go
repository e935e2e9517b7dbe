package statustext

import (
	"fmt"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Waiting is one line about what a command waits for, or "" if it does not wait.
func Waiting(s status.Status) string {
	var parts []string
	held := Held(s)
	switch s.Command {
	case status.CommandSettled:
		return ""
	case status.CommandDelayed:
		if s.NotBefore == nil {
			return "waiting: for its notbefore"
		}
		return "waiting: for its notbefore, " + timetext.Stamp(*s.NotBefore)
	case status.CommandInFlight:
		parts = append(parts, "the command "+inFlightText(s.InFlight))
	case status.CommandQueued:
		if s.Before != nil {
			parts = append(parts, beforeText(*s.Before))
		}
		if s.InFlight != nil && s.InFlight.State != status.Calling && len(held) == 0 { // else that is why
			parts = append(parts, "the one at the front "+inFlightText(s.InFlight))
		}
	}
	parts = append(parts, held...)
	if len(parts) == 0 {
		return ""
	}
	return "waiting: " + strings.Join(parts, "; ")
}

// Held says what keeps a bridge from calling factro.
func Held(s status.Status) []string {
	var parts []string
	if s.Factro.State == status.Unreachable {
		parts = append(parts, "factro unreachable"+conditionText(s.Factro))
	}
	if s.Paused != nil {
		parts = append(parts, pauseText(*s.Paused))
	}
	return parts
}

func beforeText(n uint64) string {
	if n == 0 {
		return "the command is the next one"
	}
	return plural.Of(n, "command") + " before it"
}

// inFlightText says what is done with a command in flight.
func inFlightText(h *status.InFlight) string {
	if h == nil {
		return "is in flight"
	}
	text := map[status.Activity]string{
		status.Calling: "is in flight", status.Waiting: "is in flight, and factro is not asked just now", status.Retrying: "is tried again",
		status.Searching: "got no answer, and the bridge looks at factro for the created object",
		status.Elsewhere: "is with another bridge that does not answer, or comes again in a moment",
	}[h.State]
	if text == "" {
		text = "is in flight (" + string(h.State) + ")"
	}
	if h.Since != nil {
		text += ", since " + timetext.Stamp(*h.Since)
	}
	if h.Reason != "" {
		text += fmt.Sprintf(", after %s that failed (%s)", plural.Of(h.Attempts, "attempt"), reasonText(h.Reason, 0))
	}
	return text
}

func pauseText(c status.Condition) string {
	switch c.Reason {
	case status.ReasonKeyRefused:
		return "factro refuses the API key" + sinceText(c)
	case status.ReasonKeyMissing:
		return "the bridge has no API key" + sinceText(c)
	case status.ReasonOperator:
		text := "paused" + sinceText(c)
		if c.By != "" {
			text += " by " + c.By
		}
		if c.Why != "" {
			text += " (" + c.Why + ")"
		}
		return text
	case status.ReasonThrottled:
		return "factro's request budget is used up" + sinceText(c) + untilText(c)
	case status.ReasonAskedToWait:
		return "factro asks to be left alone for a while" + sinceText(c) + untilText(c)
	}
	return "paused" + conditionText(c)
}

func conditionText(c status.Condition) string {
	text := sinceText(c)
	if c.Reason != "" {
		text += " (" + reasonText(c.Reason, c.Status) + ")"
	}
	return text
}

func sinceText(c status.Condition) string {
	if c.Since == nil {
		return ""
	}
	return " since " + timetext.Stamp(*c.Since)
}

func untilText(c status.Condition) string {
	if c.RetryAt == nil {
		return ""
	}
	return ", next attempt at " + timetext.Stamp(*c.RetryAt)
}

// reasonText says a reason in words. Of one that this version does not know it is the code.
func reasonText(reason string, httpStatus int) string {
	switch reason {
	case status.ReasonNoConnection:
		return "no connection"
	case status.ReasonNoAnswer:
		return "no answer in time"
	case status.ReasonErrorStatus:
		if httpStatus != 0 {
			return fmt.Sprintf("it answers %d", httpStatus)
		}
		return "it answers with an error"
	case status.ReasonBadAnswer:
		return "what answers is not its API"
	}
	return reason
}
