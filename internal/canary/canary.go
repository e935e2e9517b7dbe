package canary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Config says which bridge to test.
type Config struct {
	Prefix  events.Prefix
	Cloud   string
	Webhook Webhook
	// Timeout limits each leg.
	Timeout time.Duration
	// NoQuery skips the query, for installations without the query role. OnlyWebhook skips the command too.
	NoQuery, OnlyWebhook bool
}

// Canary tests one cloud of a bridge.
type Canary struct {
	cfg    Config
	sender *sender
}

// New makes a canary. It sends nothing yet.
func New(cfg Config) (*Canary, error) {
	s, err := newSender(cfg.Webhook)
	if err != nil {
		return nil, err
	}
	return &Canary{cfg: cfg, sender: s}, nil
}

// testRun is one run of the canary.
type testRun struct {
	*Canary
	client *client.Client
	id     string // the entity of the webhook and of the command; factro has no entity with this id
}

// Run tries all legs even if one fails, since the ones that work help to find the cause. It stops early when ctx ends. watched shows
// what it waits for.
func (c *Canary) Run(ctx context.Context, client *client.Client, watched *progress.Task) Report {
	defer c.sender.client.CloseIdleConnections()
	ctx, span := rootSpan(ctx)
	defer span.End()
	run := &testRun{Canary: c, client: client, id: uuid.Must(uuid.NewV7()).String()}
	type step struct {
		waiting string
		run     func(context.Context) Leg
	}
	steps := []step{{"wait for the event of the webhook", run.webhook}}
	if !c.cfg.OnlyWebhook {
		steps = append(steps, step{"wait for the result of the command", run.command})
	}
	if !c.cfg.OnlyWebhook && !c.cfg.NoQuery {
		steps = append(steps, step{"wait for the answer to the query", run.query})
	}
	report := Report{Cloud: c.cfg.Cloud, Trace: trace.SpanContextFromContext(ctx).TraceID().String(), Legs: []Leg{}}
	for _, s := range steps {
		if ctx.Err() != nil {
			report.Outcome = cmp.Or(report.Outcome, Failed)
			break
		}
		began := time.Now()
		watched.Begin(fmt.Sprintf("%s, at most %s", s.waiting, c.cfg.Timeout), "", 0)
		bounded, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		l := s.run(bounded)
		cancel()
		l.Millis = millis(time.Since(began))
		if l.Outcome != Passed && ctx.Err() != nil {
			l = l.failed(Failed, errors.New("interrupted"))
		}
		l.OK = l.Outcome == Passed
		report.Outcome = cmp.Or(report.Outcome, l.Outcome)
		report.Legs = append(report.Legs, l)
	}
	report.OK = report.Outcome == Passed
	return report
}

// rootSpan begins the trace of a canary. If this process exports no spans, the trace has only an id. The spans that the bridge
// exports can still be found by it.
func rootSpan(ctx context.Context) (context.Context, trace.Span) {
	started, span := otel.Tracer("github.com/factro-bridge/factro-bridge/internal/canary").Start(ctx, "canary")
	if span.IsRecording() {
		return started, span
	}
	return telemetry.NewTrace(ctx), span
}
