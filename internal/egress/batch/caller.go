package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// Caller makes the calls for several commands of a cloud at once.
type Caller struct {
	api    *coreapi.API
	log    *slog.Logger
	sizes  *sizes
	tracer trace.Tracer
	size   metric.Int64Histogram
	cloud  attribute.KeyValue
}

// New returns what makes calls for so many commands at most; for fewer than two it makes none.
func New(api *coreapi.API, most int, log *slog.Logger) (*Caller, error) {
	b := instrument.New(coreapi.Scope)
	c := &Caller{
		api: api, log: log, sizes: &sizes{most: most, now: map[string]size{}, calls: 1}, tracer: otel.Tracer(coreapi.Scope),
		cloud: attribute.String("factro.cloud", api.Cloud()),
		size: b.Counts("factro.bridge.batch.size", "{command}",
			"Commands that were carried out by one call, by the operation for the list and the outcome: applied, unmatched, refused, unknown or failed.",
			[]float64{2, 3, 5, 10, 20, 50, 100}),
	}
	return c, b.Err()
}

// On says whether commands are carried out together at all.
func (c *Caller) On() bool { return c.sizes.most >= 2 }

// Limit is how many commands of a key may go together now.
func (c *Caller) Limit(key string) int { return c.sizes.limit(key, time.Now()) }

// Called notes that a call was made for one command.
func (c *Caller) Called() { c.sizes.called(1) }

// Calls is how many calls so many commands are likely to need.
func (c *Caller) Calls(commands int) int {
	return int(math.Ceil(float64(commands) / c.sizes.byCall()))
}

// Command is one of several that are carried out together.
type Command struct {
	Op   factro.Operation
	Data []byte
	// Span is of the delivery.
	Span trace.Span

	// Fate is the outcome of its call, set by Exchange.
	Fate
}

// Fate is the outcome of the call for a command.
type Fate struct {
	Answer    coreapi.Answer // its own part of factro's answer
	Judgement coreapi.Judgement
	// Alone says that it has to be carried out alone, since nothing was carried out for it, and why.
	Alone error
}

// Errors of commands that have to be carried out alone.
var (
	errRefused = errors.New("factro has refused it together with others")
	errApart   = errors.New("it cannot go together with the others")
)

// errUnmatched says that nobody can tell which object of an answer is that of a command.
var errUnmatched = errors.New("objects, none of which is certainly the one that this command has made")

// Exchange makes one call for several commands of one key. It sets the operation of the attempt.
func (c *Caller) Exchange(ctx context.Context, attempt coreapi.Attempt, all []*Command) {
	by, _ := factro.Lookup(all[0].Op.Batched.By)
	together, elements := apart(all)
	call, err := callOf(by, elements)
	if err != nil || len(together) < 2 {
		for _, cmd := range all {
			cmd.Alone = errApart
		}
		c.api.Forgo()
		return
	}
	ctx, end := c.span(ctx, by, together)
	attempt.Op = by
	got, judgement := c.api.Exchange(ctx, attempt, call, c.api.Key())
	c.sizes.called(len(together))
	became := "failed"
	switch judgement {
	case coreapi.Done:
		c.sizes.worked(by.Name, len(together))
		became = distribute(by, together, elements, got)
	case coreapi.Refused:
		c.sizes.refused(by.Name, len(together), time.Now())
		became = "refused"
		for _, cmd := range together {
			cmd.Fate = Fate{got, judgement, fmt.Errorf("%w: %s", errRefused, got.Text())}
		}
	case coreapi.Unknown:
		became = "unknown"
		fallthrough
	case coreapi.Throttled, coreapi.Unauthorized, coreapi.Failed:
		for _, cmd := range together {
			cmd.Fate = Fate{Answer: got, Judgement: judgement}
		}
	}
	end(became)
	c.size.Record(ctx, int64(len(together)), metric.WithAttributes(c.cloud, attribute.String("factro.operation", by.Name), attribute.String("outcome", became)))
	if became == "refused" || became == "unmatched" {
		c.log.InfoContext(ctx, "a call for several commands did not settle all of them", "cloud", c.api.Cloud(), "operation", by.Name, "commands", len(together),
			"outcome", became, "answer", got.Text())
	}
}

// apart makes elements of the commands. What cannot be one is carried out alone, and so is a second change of the same object: a list
// has no order.
func apart(all []*Command) (together []*Command, elements []element) {
	changed := map[string]bool{}
	for _, cmd := range all {
		e, ok := elementOf(cmd.Op, cmd.Data)
		if !ok || e.id != "" && changed[e.id] {
			cmd.Alone = errApart
			continue
		}
		changed[e.id] = true
		together, elements = append(together, cmd), append(elements, e)
	}
	return together, elements
}

// distribute gives each command its part of an answer that says that all were carried out.
func distribute(by factro.Operation, all []*Command, elements []element, got coreapi.Answer) (became string) {
	became = "applied"
	for i, object := range match(all[0].Op, elements, got.Body) {
		own := got
		own.Body = object
		judgement := coreapi.Done
		if object == nil && by.Creates() { // of a change it is enough to know that it was made
			became, judgement = "unmatched", coreapi.Unknown
			own.Malformed = errUnmatched
		}
		all[i].Fate = Fate{Answer: own, Judgement: judgement}
	}
	return became
}

// span begins the span of a call. It belongs to the trace of the first command, and is linked with the deliveries of all, in both
// directions.
func (c *Caller) span(ctx context.Context, by factro.Operation, all []*Command) (_ context.Context, end func(became string)) {
	links := make([]trace.Link, len(all))
	for i, cmd := range all {
		links[i] = trace.Link{SpanContext: cmd.Span.SpanContext()}
	}
	ctx, span := c.tracer.Start(ctx, "batch "+by.Name, trace.WithLinks(links...), trace.WithAttributes(
		attribute.String("factro.operation", by.Name), attribute.Int("factro.batch.size", len(all)), c.cloud))
	for _, cmd := range all {
		cmd.Span.AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	return ctx, func(became string) {
		span.SetAttributes(attribute.String("outcome", became))
		if became != "applied" {
			span.SetStatus(codes.Error, became)
		}
		span.End()
	}
}
