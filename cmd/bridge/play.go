package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// play is the guided first event of "bridge dev".
type play struct {
	out    io.Writer
	url    string
	prefix events.Prefix
	demo   sim.Seeded
}

// patience bounds each step of the play. It is generous: the first run may be on a busy machine.
const patience = time.Minute

func (p play) banner(d doors) {
	fmt.Fprintf(p.out, `factro bridge, everything in one process

  NATS with JetStream  %s
  webhooks             http://%s/webhooks/%s
  admin                http://%s/metrics, /readyz, /livez
  simulated factro     http://%s/api/core, its controls at /_sim/

`, p.url, d.http.Addr(), devCloud, d.admin.Addr(), d.sim.Addr())
}

// run prints all events from now on, and in between plays one round trip. It ends with ctx.
func (p play) run(ctx context.Context, demo bool) error {
	client, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	arrived := make(chan bus.Message)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		since := time.Now() // not "new": the play must not miss its own event
		return client.Tail(ctx, p.prefix.EventStream(devCloud), []string{string(p.prefix) + ".event." + devCloud + ".>"}, since, func(m bus.Message) {
			select {
			case arrived <- m:
			case <-ctx.Done():
			}
		})
	})
	group.Go(func() error {
		if demo {
			if err := p.roundTrip(ctx, client, arrived); err != nil && ctx.Err() == nil {
				return fmt.Errorf("the round trip failed: %w", err)
			}
		}
		p.hints()
		for {
			select {
			case m := <-arrived:
				printMessage(p.out, m)
			case <-ctx.Done():
				return nil
			}
		}
	})
	return group.Wait()
}

// connect waits until the bridge has made its streams.
func (p play) connect(ctx context.Context) (*bus.Client, error) {
	client, err := bus.Dial(bus.Config{URL: p.url, Name: "bridge dev"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := client.WaitStreams(ctx, p.prefix, devCloud); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func (p play) roundTrip(ctx context.Context, client *bus.Client, arrived <-chan bus.Message) error {
	ctx, cancel := context.WithTimeout(newTrace(ctx), patience)
	defer cancel()
	create := events.CreateTask{Title: "Prüfung der Brücke", TargetParentID: p.demo.Package}
	data, err := json.Marshal(create)
	if err != nil {
		return err
	}
	op := create.Operation()
	fmt.Fprintf(p.out, "1. A service asks factro for a new task. It publishes a command:\n   %s\n   %s\n   trace %s\n\n",
		p.prefix.Command(devCloud, op.Resource, op.Name), data, trace.SpanContextFromContext(ctx).TraceID())

	result, err := client.Bridge(p.prefix, devCloud).Do(ctx, create, events.OnResult(func(e events.Event) {
		r, err := e.Result()
		if err != nil || r.Outcome != events.Applied || r.Resource == nil {
			return
		}
		m := bus.Message{Subject: e.Subject, Header: e.Header}
		fmt.Fprintf(p.out, "2. The bridge called the Core API, and tells what became of the command:\n   %s\n   task %s\n   %s\n   trace %s, the same\n\n",
			m.Subject, r.Resource.ID, r.Resource.URL, m.TraceID())
	}))
	if err != nil {
		return fmt.Errorf("the command: %w", err)
	}
	if result.Resource == nil || result.Resource.ID == "" {
		return fmt.Errorf("the result does not tell the new task: %s", result.Response)
	}
	for {
		select {
		case m := <-arrived:
			if m.Broken != nil || m.Event.Subject() != "task/"+result.Resource.ID {
				printMessage(p.out, m)
				continue
			}
			fmt.Fprintf(p.out, "3. factro noticed the new task and called the bridge's webhook. Whoever subscribes gets the event:\n"+
				"   %s\n   %s\n   trace %s, a new one: factro passes no traces on\n\n", m.Subject, oneLine(m.Data), m.TraceID())
			fmt.Fprint(p.out, "That was it: the round trip is complete.\n\n")
			return nil
		case <-ctx.Done():
			return fmt.Errorf("no event came: %w", ctx.Err())
		}
	}
}

func (p play) hints() {
	fmt.Fprintf(p.out, `Try it yourself, from another terminal:
   nats --server %[1]s sub 'factro.event.>'
   nats --server %[1]s pub factro.command.%[2]s.task.createTask '{"title":"Prüfung","targetParentId":"%[3]s"}'
   go run ./cmd/bridge send --nats %[1]s createTask title=Prüfung targetParentId=%[3]s --wait
   nats --server %[1]s req factro.query.%[2]s.package.listPackages '{"projectId":"%[4]s"}'
   go run ./cmd/bridge tail --nats %[1]s results

Events follow as they come. Ctrl-C ends everything.

`, p.url, devCloud, p.demo.Package, p.demo.Project)
}
