package statustext

import (
	"fmt"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Waiting is one line about what a command waits for, or "" if it does not wait.
func Waiting(s events.Status) string {
	var parts []string
	held := Held(s)
	switch s.Command {
	case events.CommandSettled:
		return ""
	case events.CommandInHand:
		parts = append(parts, "the command "+inFlightText(s.InHand))
	case events.CommandQueued:
		if s.Before != nil {
			parts = append(parts, beforeText(*s.Before))
		}
		if s.InHand != nil && s.InHand.State != events.HandCalling && len(held) == 0 { // else that is why
			parts = append(parts, "the one at the front "+inFlightText(s.InHand))
		}
	}
	parts = append(parts, held...)
	if len(parts) == 0 {
		return ""
	}
	return "waiting: " + strings.Join(parts, "; ")
}

// Held says what keeps a bridge from calling factro.
func Held(s events.Status) []string {
	var parts []string
	if s.Factro.State == events.Unreachable {
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
func inFlightText(h *events.InHand) string {
	if h == nil {
		return "is in flight"
	}
	text := map[events.HandState]string{
		events.HandCalling: "is in flight", events.HandWaiting: "is in flight, and factro is not asked just now", events.HandRetrying: "is tried again",
		events.HandLooking:   "got no answer, and the bridge looks at factro for the created object",
		events.HandElsewhere: "is with another bridge that does not answer, or comes again in a moment",
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

func pauseText(c events.Condition) string {
	switch c.Reason {
	case events.ReasonKeyRefused:
		return "factro refuses the API key" + sinceText(c)
	case events.ReasonKeyMissing:
		return "the bridge has no API key" + sinceText(c)
	case events.ReasonThrottled:
		return "factro's request budget is used up" + sinceText(c) + untilText(c)
	case events.ReasonAskedToWait:
		return "factro asks to be left alone for a while" + sinceText(c) + untilText(c)
	}
	return "paused" + conditionText(c)
}

func conditionText(c events.Condition) string {
	text := sinceText(c)
	if c.Reason != "" {
		text += " (" + reasonText(c.Reason, c.Status) + ")"
	}
	return text
}

func sinceText(c events.Condition) string {
	if c.Since == nil {
		return ""
	}
	return " since " + timetext.Stamp(*c.Since)
}

func untilText(c events.Condition) string {
	if c.RetryAt == nil {
		return ""
	}
	return ", next attempt at " + timetext.Stamp(*c.RetryAt)
}

// reasonText says a reason in words. Of one that this version does not know it is the code.
func reasonText(reason string, status int) string {
	switch reason {
	case events.ReasonNoConnection:
		return "no connection"
	case events.ReasonNoAnswer:
		return "no answer in time"
	case events.ReasonErrorStatus:
		if status != 0 {
			return fmt.Sprintf("it answers %d", status)
		}
		return "it answers with an error"
	case events.ReasonBadAnswer:
		return "what answers is not its API"
	}
	return reason
}
