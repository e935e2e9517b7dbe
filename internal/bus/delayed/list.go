package delayed

import (
	"context"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Entry is a delayed command as the command line shows it.
type Entry struct {
	Cloud     string    `json:"cloud"`
	ID        string    `json:"id"`
	Source    string    `json:"source,omitempty"`
	Operation string    `json:"operation"`
	Until     time.Time `json:"notBefore"`
	Due       bool      `json:"due,omitempty"`
	Stored    time.Time `json:"stored"`
	Expires   string    `json:"expires,omitempty"`
}

// Each calls a function for each delayed command of a cloud, in the order in which they were stored, one read at a time. It needs the
// right to read the stream. A cloud without that stream has none.
func Each(ctx context.Context, c *client.Client, p events.Prefix, cloud string, do func(Entry) error) error {
	all := string(p) + ".delayed." + cloud + ".>"
	for next := uint64(1); ; {
		m, err := stored.Get(ctx, c.Settings(), c.JetStream(), topology.DelayedStream(p, cloud), next, all)
		switch {
		case natserr.NoMessage(err), natserr.NoStream(err):
			return nil
		case err != nil:
			return c.Why(err, c.Settings().API("DIRECT.GET."))
		}
		next = m.Sequence + 1
		w, err := read(p, cloud, m)
		if err != nil {
			continue // none that a bridge has stored
		}
		e := Entry{
			Cloud: cloud, ID: w.Command.Event.ID(), Source: w.Command.Source(), Operation: w.Command.Operation, Until: w.Until, Due: w.Due, Stored: m.Time,
		}
		if at, ok := w.Command.Event.Extensions()[attr.ExpiryTime].(string); ok {
			e.Expires = at
		}
		if err := do(e); err != nil {
			return err
		}
	}
}
