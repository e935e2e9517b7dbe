package canary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/statustext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// webhook sends a webhook and waits for its event in the stream.
func (c *testRun) webhook(ctx context.Context) Leg {
	l := Leg{Name: "webhook", To: c.sender.address()}
	subject := c.cfg.Prefix.Event(c.cfg.Cloud, events.ResourceBridge, c.id, events.ActionCanary)
	expected, err := journal.Expect(ctx, c.client, c.cfg.Prefix.EventStream(c.cfg.Cloud), subject)
	if err != nil {
		return l.failed(Failed, fmt.Errorf("cannot wait for the event: %w", err))
	}
	began := time.Now()
	if _, err := c.sender.send(ctx, c.id); err != nil {
		return l.failed(Failed, err)
	}
	l.Answered = millis(time.Since(began))
	m, err := expected.Next(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return l.failed(TimedOut, fmt.Errorf("the webhook was answered with 202, but no event arrived on %s within %s; "+
			"check /readyz: it may wait in the spool, or the bridge that answered uses another NATS or prefix: %w", subject, c.cfg.Timeout, err))
	case err != nil:
		return l.failed(Failed, err)
	case m.Broken != nil:
		return l.failed(Failed, fmt.Errorf("the message on %s is not an event: %w", subject, m.Broken))
	}
	l.Arrived, l.Trace = m.Subject, m.TraceID()
	return l
}

// command sends the command that the bridge answers itself and waits for its result.
func (c *testRun) command(ctx context.Context) Leg {
	cmd := payload.Generic{Name: events.OperationCanary, Resource: events.ResourceBridge}
	l := Leg{Name: "command", To: c.cfg.Prefix.Command(c.cfg.Cloud, cmd.Resource, cmd.Name)}
	var last status.Status
	r, err := c.client.Bridge(c.cfg.Prefix, c.cfg.Cloud).Do(ctx, cmd, events.DryRun(), events.OnStatus(func(s status.Status, err error) {
		if err == nil {
			last = s
		}
	}), events.OnResult(func(e events.Event) {
		m := journal.Message{Subject: e.Subject, Header: e.Header}
		l.Arrived, l.Trace = m.Subject, m.TraceID()
	}))
	pending, isPending := errors.AsType[*events.PendingError](err)
	switch {
	case err == nil:
		return l
	case isPending && pending.Unsure:
		return l.failed(Failed, fmt.Errorf("the command was not acknowledged: %w", c.client.Why(pending.Err, l.To)))
	case isPending && errors.Is(err, context.DeadlineExceeded):
		return l.failed(TimedOut, c.client.Why(fmt.Errorf("the command %s is in the stream, but no result arrived within %s; %s",
			pending.ID, c.cfg.Timeout, waitReason(last)), l.To))
	case r.Outcome == events.Rejected && r.Error != nil && r.Error.Code == events.CodeUnknownOperation:
		return l.failed(Rejected, fmt.Errorf("the bridge is older and does not know the command of this canary, but the command "+
			"arrived; use the canary of the bridge's version: %w", err))
	case r.Outcome == events.Rejected:
		return l.failed(Rejected, err)
	case r.Outcome == events.Dead:
		return l.failed(Dead, err)
	}
	return l.failed(Failed, c.client.Why(err, l.To))
}

// waitReason says what a command waits for, from the last status of the bridge. Without a status it says where to look.
func waitReason(last status.Status) string {
	if text := statustext.Waiting(last); text != "" {
		return text
	}
	return "check /readyz: is there a bridge with the role egress, is the cloud paused, is there a backlog?"
}

// canaryQuery is a small query: a few counters of the API key's user.
const canaryQuery = "getUserQuota"

func (c *testRun) query(ctx context.Context) Leg {
	op, _ := factro.Lookup(canaryQuery)
	l := Leg{Name: "query", To: c.cfg.Prefix.Query(c.cfg.Cloud, op.Resource, op.Name)}
	answer, err := c.client.Ask(ctx, c.cfg.Prefix, c.cfg.Cloud, events.Operation{Name: op.Name, Resource: op.Resource}, []byte("{}"))
	if err == nil {
		_, err = io.Copy(io.Discard, answer)
		err = errors.Join(err, answer.Close())
	}
	refused, isRefused := errors.AsType[*events.Error](err)
	switch {
	case err == nil:
		return l
	case isRefused:
		return l.failed(Rejected, fmt.Errorf("%s (%d): %s", refused.Code, refused.Status, refused.Message))
	case errors.Is(err, context.DeadlineExceeded):
		return l.failed(TimedOut, c.client.Why(fmt.Errorf("no answer arrived within %s", c.cfg.Timeout), l.To))
	}
	return l.failed(Failed, c.client.Why(err, l.To))
}
