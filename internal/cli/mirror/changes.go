package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

func (f *watchFlags) printChanges(ctx context.Context, out io.Writer, broker *client.Client, resource string, conditions []condition) error {
	filter := change.Filter(f.prefix(), f.Cloud, resource, events.Any, events.Any)
	return change.Subscribe(ctx, broker.JetStream(), filter, func(ctx context.Context, c change.Change) error {
		if !gets(conditions, c) {
			return nil
		}
		if f.asJSON {
			return encode(out, changeOf(c))
		}
		if err := printLine(out, timetext.Stamp(c.Time), c.What, c.ID, f.titleOf(ctx, broker, c)); err != nil {
			return err
		}
		return printFields(out, c)
	}, events.Log(slog.New(slog.DiscardHandler)))
}

// gets says whether a change has given the fields of all conditions their values.
func gets(all []condition, c change.Change) bool {
	if len(all) == 0 {
		return true
	}
	for _, condition := range all {
		is, ok := c.After[condition.field]
		was, had := c.Before[condition.field]
		if !ok || valueText(is) != condition.value || had && valueText(was) == condition.value {
			return false
		}
	}
	return true
}

// titleOf is what people call the object of a change. The change has it only if it has changed itself.
func (f *watchFlags) titleOf(ctx context.Context, broker *client.Client, c change.Change) string {
	if title := titleOf(c.After); title != "" && c.What != change.Updated {
		return title
	}
	if c.What == change.Deleted {
		return titleOf(c.Before)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if s, err := change.Get(ctx, broker.JetStream(), c.Cloud, c.Resource, c.ID, f.option()); err == nil {
		return titleOf(fieldsOf(s.Data))
	}
	return titleOf(c.After)
}

// most is how many fields of a change are printed.
const most = 20

// printFields prints the fields of an update, and what has led to the change.
func printFields(out io.Writer, c change.Change) error {
	var lines []string
	if c.What == change.Updated {
		for i, name := range c.Changed {
			if i == most {
				lines = append(lines, fmt.Sprintf("… and %d more", len(c.Changed)-most))
				break
			}
			lines = append(lines, name+": "+shortened(c.Before, name)+" -> "+shortened(c.After, name))
		}
	}
	if c.Status == 403 {
		lines = append(lines, "the API key may not read it any more")
	}
	if c.Cause != "" {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("by the command %s %s (%s)", c.Cause, c.Sender, c.Certainty)))
	}
	if c.Origin == change.OriginVerify {
		lines = append(lines, "no event announced it")
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(out, "  %s\n", output.OneLine([]byte(line))); err != nil {
			return err
		}
	}
	return nil
}

// shortened is a value in a line.
func shortened(fields map[string]json.RawMessage, name string) string {
	const most = 60
	value, ok := fields[name]
	if !ok {
		return "absent"
	}
	if text := []rune(string(value)); len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(value)
}

// changed is a change for programs.
type changed struct {
	What     string                     `json:"what"`
	Cloud    string                     `json:"cloud"`
	Resource string                     `json:"resource"`
	ID       string                     `json:"id"`
	Time     time.Time                  `json:"time"`
	Before   map[string]json.RawMessage `json:"before"`
	After    map[string]json.RawMessage `json:"after"`
	Changed  []string                   `json:"changed"`
	Whole    bool                       `json:"whole,omitempty"`
	Status   int                        `json:"status,omitempty"`
	Causes   []string                   `json:"causes,omitempty"`
	Origin   string                     `json:"origin,omitempty"`
	// Command, Sender and Certainty are the command that made it.
	Command   string `json:"command,omitempty"`
	Sender    string `json:"sender,omitempty"`
	Certainty string `json:"certainty,omitempty"`
	StateFrom uint64 `json:"stateFrom"`
	Sequence  uint64 `json:"sequence"`
}

func changeOf(c change.Change) changed {
	return changed{
		What: c.What, Cloud: c.Cloud, Resource: c.Resource, ID: c.ID, Time: c.Time, Before: c.Before, After: c.After, Changed: c.Changed, Whole: c.Whole,
		Status: c.Status, Causes: c.Causes, Origin: c.Origin, Command: c.Cause, Sender: c.Sender, Certainty: c.Certainty, StateFrom: c.StateFrom, Sequence: c.Sequence,
	}
}
