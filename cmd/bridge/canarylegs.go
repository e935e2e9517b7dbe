package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// leg is one of the ways through the bridge, and what became of it.
type leg struct {
	Name string `json:"leg"`
	OK   bool   `json:"ok"`
	// To is where it was sent, Arrived the subject of what came.
	To      string `json:"to"`
	Arrived string `json:"arrived,omitempty"`
	// Trace is that of what came. factro is a stranger at the webhooks' door, and so is the canary: the event is of another
	// trace, which is linked to the canary's.
	Trace string `json:"trace,omitempty"`
	// Answered is how long the answer to the webhook took, Millis the whole leg, in milliseconds.
	Answered float64 `json:"answeredMs,omitempty"`
	Millis   float64 `json:"ms"`
	Error    string  `json:"error,omitempty"`

	err  error
	code int // the exit code if err is set
}

func (l leg) failed(code int, err error) leg {
	l.err, l.code = err, code
	return l
}

// webhook sends a webhook and waits for its event, in the stream.
func (c *canary) webhook(ctx context.Context) leg {
	l := leg{Name: "webhook", To: c.hook.address()}
	subject := c.prefix.Event(c.cloud, events.ResourceBridge, c.id, events.ActionCanary)
	expected, err := c.client.Expect(ctx, c.prefix.EventStream(c.cloud), subject)
	if err != nil {
		return l.failed(exitFailure, fmt.Errorf("the event cannot be waited for: %w", err))
	}
	began := time.Now()
	if _, err := c.hook.send(ctx, c.id); err != nil {
		return l.failed(exitFailure, err)
	}
	l.Answered = millis(time.Since(began))
	m, err := expected.Next(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return l.failed(exitNoResult, fmt.Errorf("the webhook was answered with 202, but within %s no event came on %s; "+
			"look at /readyz: it may wait in the spool, or the bridge that answered uses another NATS or prefix: %w", c.timeout, subject, err))
	case err != nil:
		return l.failed(exitFailure, err)
	case m.Broken != nil:
		return l.failed(exitFailure, fmt.Errorf("what came on %s is no event: %w", subject, m.Broken))
	}
	l.Arrived, l.Trace = m.Subject, m.TraceID()
	return l
}

// command sends the command that the bridge answers itself, and waits for its result.
func (c *canary) command(ctx context.Context) leg {
	cmd := events.Generic{Name: events.OperationCanary, Resource: events.ResourceBridge}
	l := leg{Name: "command", To: c.prefix.Command(c.cloud, cmd.Resource, cmd.Name)}
	var last events.Status
	r, err := c.client.Bridge(c.prefix, c.cloud).Do(ctx, cmd, events.DryRun(), events.OnStatus(func(s events.Status, err error) {
		if err == nil {
			last = s
		}
	}), events.OnResult(func(e events.Event) {
		m := bus.Message{Subject: e.Subject, Header: e.Header}
		l.Arrived, l.Trace = m.Subject, m.TraceID()
	}))
	pending, isPending := errors.AsType[*events.PendingError](err)
	switch {
	case err == nil:
		return l
	case isPending && pending.Unsure:
		return l.failed(exitFailure, fmt.Errorf("the command was not acknowledged: %w", c.client.Why(pending.Err, l.To)))
	case isPending && errors.Is(err, context.DeadlineExceeded):
		return l.failed(exitNoResult, c.client.Why(fmt.Errorf("the command %s is in the stream, but within %s no result came; %s",
			pending.ID, c.timeout, why(last)), l.To))
	case r.Outcome == events.Rejected && r.Error != nil && r.Error.Code == events.CodeUnknownOperation:
		return l.failed(exitRejected, fmt.Errorf("the bridge does not know the command of this canary: it is older, and the command "+
			"came through all the same; use the canary of the bridge's version: %w", err))
	case r.Outcome == events.Rejected:
		return l.failed(exitRejected, err)
	case r.Outcome == events.Dead:
		return l.failed(exitDead, err)
	}
	return l.failed(exitFailure, c.client.Why(err, l.To))
}

// why says what a command waits for by what the bridge said last, or where to look if it said nothing.
func why(last events.Status) string {
	if text := waitText(last); text != "" {
		return text
	}
	return "look at /readyz: is there a bridge with the role egress, is the cloud paused, is there a backlog?"
}

// canaryQuery reads a few counters of the API key's user.
const canaryQuery = "getUserQuota"

func (c *canary) query(ctx context.Context) leg {
	op, _ := factro.Lookup(canaryQuery)
	l := leg{Name: "query", To: c.prefix.Query(c.cloud, op.Resource, op.Name)}
	answer, err := c.client.Ask(ctx, c.prefix, c.cloud, events.Operation{Name: op.Name, Resource: op.Resource}, []byte("{}"))
	if err == nil {
		_, err = io.Copy(io.Discard, answer)
		err = errors.Join(err, answer.Close())
	}
	refused, isRefused := errors.AsType[*events.Error](err)
	switch {
	case err == nil:
		return l
	case isRefused:
		return l.failed(exitRejected, fmt.Errorf("%s (%d): %s", refused.Code, refused.Status, refused.Message))
	case errors.Is(err, context.DeadlineExceeded):
		return l.failed(exitNoResult, c.client.Why(fmt.Errorf("no answer came within %s", c.timeout), l.To))
	}
	return l.failed(exitFailure, c.client.Why(err, l.To))
}

// canaryReport is what a canary tells.
type canaryReport struct {
	Cloud string `json:"cloud"`
	OK    bool   `json:"ok"`
	// Trace is that of the canary itself, of the command and of the query.
	Trace string `json:"trace"`
	Legs  []leg  `json:"legs"`
}

func (r canaryReport) write(out io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "canary of %s\n  trace    %s\n", r.Cloud, r.Trace)
	for _, l := range r.Legs {
		verdict := "came"
		if !l.OK {
			verdict = "FAILED"
		}
		fmt.Fprintf(&text, "\n%s %s after %s\n  to       %s\n", l.Name, verdict, duration(l.Millis), l.To)
		if l.Answered > 0 {
			fmt.Fprintf(&text, "  202      after %s\n", duration(l.Answered))
		}
		if l.Arrived != "" {
			fmt.Fprintf(&text, "  arrived  %s\n", l.Arrived)
		}
		if l.Trace != "" && l.Trace != r.Trace {
			fmt.Fprintf(&text, "  trace    %s\n", l.Trace)
		}
		for line := range strings.Lines(l.Error) {
			fmt.Fprintf(&text, "  error    %s\n", strings.TrimSpace(line))
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// millis are milliseconds with what a person reads of them.
func millis(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Millisecond)*10) / 10 }

func duration(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond))) // 4.1 ms, and not 4.099999
}
