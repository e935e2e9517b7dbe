package events

import (
	"context"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// cancelTimeout bounds a request to cancel whose context has no deadline.
const cancelTimeout = 10 * time.Second

// Cancel cancels a command that waits for its notbefore. source and id are those of the command; the source is that of the client's
// default options, else DefaultSource, if it is "". Either the command is carried out, or Cancel returns notbefore.Cancelled, never both. After an
// error the command may be cancelled or not, and calling Cancel again is right. [nats.ErrNoResponders] means that no bridge with
// delayed commands works for this cloud.
func (c *Client) Cancel(ctx context.Context, source, id string) (notbefore.CancelState, error) {
	if err := c.check(); err != nil {
		return "", fmt.Errorf("cancel: %w", err)
	}
	if source == "" {
		o := order{}
		o.Source, o.Extensions = DefaultSource, map[string]any{}
		for _, set := range c.defaults {
			set(&o)
		}
		source = o.Source
	}
	if _, ok := ctx.Deadline(); !ok {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, cancelTimeout)
		defer stop()
	}
	var a notbefore.CancelAnswer
	err := c.ask(ctx, "cancel", c.prefix.Cancel(c.cloud), notbefore.CancelRequest{ID: id, Source: source}, &a)
	return a.State, err
}
