package change

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// TypePrefix, the resource and what happened are the type of a change: com.factro.change.task.updated.
const TypePrefix = "com.factro.change."

// How certain it is that a command made a change.
const (
	Exact  = "exact"  // the change is what the command asked for
	Likely = "likely" // the time and the fields fit
)

// Change is what happened to an object.
type Change struct {
	// What is [Created], [Updated] or [Deleted].
	What                string
	Cloud, Resource, ID string
	// Before and After have the fields that differ, or all of them if Whole. A field that is in Before and not in After was removed.
	// Before is empty of an object that was created, After of one that was deleted.
	Before, After map[string]json.RawMessage
	// Changed are the names of the fields that differ, sorted.
	Changed []string
	Whole   bool
	// Status says why it was deleted: 404, or 403 if the key may not read the object. Else it is 0.
	Status int
	// Causes are the ids of the events that led to it, at most [MostCauses].
	Causes []string
	// Origin is [OriginVerify] if no event announced it, else empty.
	Origin string
	// Cause and Sender are the id and the source of the command that made the change, and Certainty is [Exact] or [Likely]. They are empty
	// if none is known.
	Cause, Sender, Certainty string
	// StateFrom is the revision of the state that it replaces, 0 if there was none.
	StateFrom uint64
	// Sequence is its place in the stream.
	Sequence uint64
	// Time is when the bridge read the object.
	Time time.Time
	// Event is the message that it came in.
	Event events.Event
}

// Subscribe is [events.Subscribe] for changes: it has handle called with each change that matches the filter, in order, at least once,
// until ctx ends. The filter is one that [Filter] builds. What handle returns is the verdict, and the options are the same.
//
// A message that is no change is left out, with a warning.
func Subscribe(ctx context.Context, js jetstream.JetStream, filter string, handle func(context.Context, Change) error, opts ...events.SubscribeOption) error {
	if t := strings.SplitN(filter, ".", 3); len(t) < 3 || t[1] != "change" {
		return fmt.Errorf("subscribe: the filter %s is none of changes, want <prefix>.change.<cloud>.…", binding.Quote(filter))
	}
	log := slog.Default()
	return events.Subscribe(ctx, js, filter, func(ctx context.Context, e events.Event) error {
		c, err := Decode(e)
		if err != nil {
			log.WarnContext(ctx, "message is no change and is left out", "subject", e.Subject, "sequence", e.Sequence, "error", err)
			return events.Reject(err)
		}
		return handle(ctx, c)
	}, opts...)
}

// Decode reads the event of a change. It is an error if it is none.
func Decode(e events.Event) (Change, error) {
	c := Change{Event: e, Sequence: e.Sequence, Time: e.CloudEvent.Time(), Whole: e.Header.Get(HeaderWhole) == "true"}
	kind, isChange := strings.CutPrefix(e.CloudEvent.Type(), TypePrefix)
	resource, what, _ := strings.Cut(kind, ".")
	at := strings.Split(e.Subject, ".")
	switch {
	case !isChange || !slices.Contains([]string{Created, Updated, Deleted}, what):
		return c, fmt.Errorf("the event is of the type %s, want %s<resource>.<what>", binding.Quote(e.CloudEvent.Type()), TypePrefix)
	case len(at) != 6 || at[1] != "change" || at[3] != resource || at[5] != what:
		return c, fmt.Errorf("the change %s is on the subject %s", binding.Quote(kind), binding.Quote(e.Subject))
	}
	c.Cloud, c.Resource, c.ID, c.What = at[2], resource, at[4], what
	if id := e.CloudEvent.Subject(); id != "" { // it may be no token
		c.ID = id
	}
	var data struct {
		Before, After map[string]json.RawMessage
		Changed       []string
		Status        int
	}
	if err := json.Unmarshal(e.CloudEvent.Data(), &data); err != nil {
		return c, fmt.Errorf("data of %s: %w", e.Subject, err)
	}
	c.Before, c.After, c.Changed, c.Status = data.Before, data.After, data.Changed, data.Status
	if text := e.Header.Get(HeaderStateFrom); text != "" {
		var err error
		if c.StateFrom, err = strconv.ParseUint(text, 10, 64); err != nil {
			return c, fmt.Errorf("header %s of %s: %w", HeaderStateFrom, e.Subject, err)
		}
	}
	c.Causes = strings.Fields(extension(e, attr.CausationID))
	c.Origin, c.Cause, c.Sender, c.Certainty = extension(e, attr.Origin), extension(e, attr.Cause), extension(e, attr.Sender), extension(e, attr.Certainty)
	return c, nil
}

func extension(e events.Event, name string) string {
	text, _ := e.CloudEvent.Extensions()[name].(string)
	return text
}
