package events

import (
	"context"
	"fmt"
	"time"
)

// CancelRequest asks the bridge to cancel a delayed command.
type CancelRequest struct {
	// ID and Source are those of the command. A plain JSON command has no source.
	ID     string `json:"id"`
	Source string `json:"source,omitempty"`
}

// CancelAnswer is the answer to a CancelRequest.
type CancelAnswer struct {
	State CancelState `json:"state"`
}

// CancelState is the outcome of a CancelRequest.
type CancelState string

const (
	// Cancelled says that the command is not carried out. Its final result is rejected, with the code CodeCancelled, and follows
	// within seconds. A command that was cancelled before is cancelled as well.
	Cancelled CancelState = "cancelled"
	// CancelBegun says that it is too late: the command was begun, or has a final result already.
	CancelBegun CancelState = "begun"
	// CancelNotFound says that no delayed command has this source and id.
	CancelNotFound CancelState = "not-found"
)

// cancelTimeout bounds a request to cancel whose context has no deadline.
const cancelTimeout = 10 * time.Second

// Cancel cancels a command that waits for its notbefore. source and id are those of the command; the source is that of the client's
// default options, else DefaultSource, if it is "". Either the command is carried out, or Cancel returns Cancelled, never both. After an
// error the command may be cancelled or not, and calling Cancel again is right. [nats.ErrNoResponders] means that no bridge with
// delayed commands works for this cloud.
func (c *Client) Cancel(ctx context.Context, source, id string) (CancelState, error) {
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
	var a CancelAnswer
	err := c.ask(ctx, "cancel", c.prefix.Cancel(c.cloud), CancelRequest{ID: id, Source: source}, &a)
	return a.State, err
}
