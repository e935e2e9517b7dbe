package events

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/watch"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// statusTimeout bounds a question about the state of the commands: the bridge answers at once.
const statusTimeout = 2 * time.Second

// Status asks the bridge why the commands of the cloud wait, and with the position of a command, how far that is. The bridge
// answers without calling factro, so also while factro is away.
//
// [nats.ErrNoResponders] means that no bridge with the role egress is connected for this cloud, that it is one before contract 3.0,
// or, in an account of its own, that [Prefix.Status] is not imported there. A user without the right gets no answer in time.
func (c *Client) Status(ctx context.Context, position string) (status.Status, error) {
	return c.status(ctx, status.Request{Position: position})
}

func (c *Client) status(ctx context.Context, about status.Request) (status.Status, error) {
	if err := c.check(); err != nil {
		return status.Status{}, fmt.Errorf("status: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var s status.Status
	err := c.ask(ctx, "status", c.prefix.Status(c.cloud), about, &s)
	return s, err
}

// ask sends a question of the bridge's contract and reads the answer to it.
func (c *Client) ask(ctx context.Context, what, subject string, question, answer any) error {
	data, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	msg, err := c.request(ctx, what, subject, data, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(msg.Data, answer); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// WatchStatus calls f with what [Client.Status] says, after a second and then whenever it has changed, until ctx ends. The first
// error is reported, too, and at once if no bridge is there.
func (c *Client) WatchStatus(ctx context.Context, position string, f func(status.Status, error)) {
	watch.Status(ctx, func(ctx context.Context) (status.Status, error) { return c.Status(ctx, position) }, f)
}
