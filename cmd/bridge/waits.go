package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// waits tells people, line by line, what a command waits for.
type waits struct {
	client *bus.Client
	prefix events.Prefix
	cloud  string

	asking sync.WaitGroup
	mu     sync.Mutex // guards notes and last
	notes  io.Writer
	last   string
}

// tell prints what the bridge says, if it is news. It does not keep its caller waiting.
func (w *waits) tell(ctx context.Context, s events.Status, err error) {
	if err == nil {
		w.print(waitText(s))
		return
	}
	// The broker may know more: those who may look at the consumer are told whether somebody takes commands at all.
	w.asking.Go(func() { w.print(w.unanswered(ctx, err)) })
}

// end waits until nothing more is printed; the context that tell was given has ended by then.
func (w *waits) end() { w.asking.Wait() }

func (w *waits) print(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text == "" || text == w.last {
		return
	}
	w.last = text
	fmt.Fprintln(w.notes, "bridge:", text)
}

// guessAfter is how long a guess is held back.
const guessAfter = time.Second

// unanswered is what is known although no bridge says what a command waits for; "" if it is not worth a word any more.
func (w *waits) unanswered(ctx context.Context, err error) string {
	if e, ok := errors.AsType[*events.Error](err); ok {
		return "what the command waits for is not known: " + e.Message
	}
	began := time.Now()
	served, lookErr := w.client.Served(ctx, w.prefix, w.cloud)
	if ctx.Err() == nil && lookErr == nil && !served {
		return fmt.Sprintf("nobody takes commands of the cloud %s at the moment: no bridge with the role egress runs, or it waits for factro; "+
			"the command waits in the stream", w.cloud)
	}
	select { // an older bridge may have carried it out by then
	case <-time.After(guessAfter - time.Since(began)):
	case <-ctx.Done():
		return ""
	}
	switch {
	case lookErr == nil && bus.NobodyAnswers(err):
		return fmt.Sprintf("what the command waits for is not known: a bridge took commands of the cloud %s a moment ago, and does not answer; it has "+
			"ended, or it is one before contract 3.0", w.cloud)
	case lookErr == nil:
		return "what the command waits for is not known: the bridge does not say so in time"
	case bus.NobodyAnswers(err):
		return fmt.Sprintf("nobody says what the command waits for: no bridge with the role egress runs for the cloud %s, or it is one before "+
			"contract 3.0, or %s is not open to this user; the command waits in the stream", w.cloud, w.prefix.Status(w.cloud))
	}
	return fmt.Sprintf("nobody says what the command waits for; perhaps this user may not ask on %s", w.prefix.Status(w.cloud))
}

// waitText is one line about what a command waits for, or "" if it does not wait.
func waitText(s events.Status) string {
	var parts []string
	held := heldText(s)
	switch s.Command {
	case events.CommandSettled:
		return ""
	case events.CommandInHand:
		parts = append(parts, "the command "+handText(s.InHand))
	case events.CommandQueued:
		if s.Before != nil {
			parts = append(parts, beforeText(*s.Before))
		}
		if s.InHand != nil && s.InHand.State != events.HandCalling && len(held) == 0 { // else that is why
			parts = append(parts, "the one at the front "+handText(s.InHand))
		}
	}
	parts = append(parts, held...)
	if len(parts) == 0 {
		return ""
	}
	return "waiting: " + strings.Join(parts, "; ")
}

// heldText says what keeps a bridge from calling factro.
func heldText(s events.Status) []string {
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

// handText says what is done with a command in hand.
func handText(h *events.InHand) string {
	if h == nil {
		return "is in hand"
	}
	text := map[events.HandState]string{
		events.HandCalling: "is in hand", events.HandWaiting: "is in hand, and factro is not asked just now", events.HandRetrying: "is tried again",
		events.HandLooking:   "got no answer, and the bridge looks at factro for what it has made",
		events.HandElsewhere: "is with another bridge that does not answer, or comes again in a moment",
	}[h.State]
	if text == "" {
		text = "is in hand (" + string(h.State) + ")"
	}
	if h.Since != nil {
		text += ", since " + stamp(*h.Since)
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
	return " since " + stamp(*c.Since)
}

func untilText(c events.Condition) string {
	if c.RetryAt == nil {
		return ""
	}
	return ", next attempt at " + stamp(*c.RetryAt)
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
