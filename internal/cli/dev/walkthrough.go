package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// walkthrough is the guided round trip of "bridge dev".
type walkthrough struct {
	out       io.Writer
	url       string
	prefix    events.Prefix
	demo      sim.Seeded
	listeners listeners
	files     *devFiles
	// program is the command line that started this program, for commands to copy.
	program string
	feed    *feed
}

// stepTimeout limits each step of the walkthrough. It is long, because the first run may be on a busy machine.
const stepTimeout = time.Minute

func (p walkthrough) banner() {
	fmt.Fprintf(p.out, `factro bridge, everything in one process

  NATS with JetStream  %s
  webhooks             %s
  admin                %s/
  simulated factro     %s/_sim/
  configuration        %s, and beside it %s and %s; removed at the end

`, p.url, p.listeners.webhooks(), localURL(p.listeners.admin), localURL(p.listeners.sim), p.files.shown(p.files.config), devSecretName, devKeyName)
	for _, line := range p.listeners.moved {
		fmt.Fprintf(p.out, "  %s\n", line)
	}
	if p.files.fallbackReason != "" {
		fmt.Fprintf(p.out, "  not in the current folder: %s\n", p.files.fallbackReason)
	}
	if len(p.listeners.moved) > 0 || p.files.fallbackReason != "" {
		fmt.Fprintln(p.out)
	}
}

// run runs one round trip and then prints what happens, until ctx ends.
func (p walkthrough) run(ctx context.Context, demo bool) error {
	client, err := p.connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // interrupted
		}
		return err
	}
	defer client.Close()
	since := time.Now() // not "new": no event of the walkthrough must be missed
	id := uuid.Must(uuid.NewV7()).String()
	arrived := make(chan journal.Message)
	ended := ctx.Err // of the caller's context, not of the group's
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return journal.Tail(ctx, client.JetStream(), p.prefix.EventStream(devCloud), []string{string(p.prefix) + ".event." + devCloud + ".>"}, journal.Since(since), func(m journal.Message) {
			select {
			case arrived <- m:
			case <-ctx.Done():
			}
		})
	})
	group.Go(func() error { return p.feed.follow(ctx, client, p.prefix, since, id) })
	group.Go(func() error {
		if demo {
			if err := p.roundTrip(ctx, client, id, arrived); err != nil && ctx.Err() == nil {
				return fmt.Errorf("the round trip failed: %w", err)
			}
		}
		p.hints()
		for {
			select {
			case m := <-arrived:
				output.PrintMessage(p.out, m)
			case show := <-p.feed.lines:
				show(p.out)
			case <-ctx.Done():
				return nil
			}
		}
	})
	if err := group.Wait(); ended() == nil {
		return err
	}
	return nil // interrupted: ignore errors of steps that could not start
}

// connect connects and waits until the bridge has created its streams.
func (p walkthrough) connect(ctx context.Context) (*client.Client, error) {
	client, err := client.Dial(bus.Config{URL: p.url, Name: "bridge dev"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := client.WaitStreams(ctx, p.prefix, devCloud); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func (p walkthrough) roundTrip(ctx context.Context, client *client.Client, id string, arrived <-chan journal.Message) error {
	ctx, cancel := context.WithTimeout(telemetry.NewTrace(ctx), stepTimeout)
	defer cancel()
	create := payload.CreateTask{Title: "Prüfung der Brücke", TargetParentID: p.demo.Package}
	data, err := json.Marshal(create)
	if err != nil {
		return err
	}
	op := create.Operation()
	fmt.Fprintf(p.out, "1. A service asks factro for a new task. It publishes a command:\n   %s\n   %s\n   trace %s\n\n",
		p.prefix.Command(devCloud, op.Resource, op.Name), data, trace.SpanContextFromContext(ctx).TraceID())

	result, err := client.Bridge(p.prefix, devCloud).Do(ctx, create, events.WithID(id), events.OnResult(func(e events.Event) {
		r, err := e.Result()
		if err != nil || r.Outcome != events.Applied || r.Resource == nil {
			return
		}
		m := journal.Message{Subject: e.Subject, Header: e.Header}
		fmt.Fprintf(p.out, "2. The bridge called the Core API, and reports the outcome of the command:\n   %s\n   task %s\n   %s\n   trace %s, the same\n\n",
			m.Subject, r.Resource.ID, r.Resource.URL, m.TraceID())
	}))
	if err != nil {
		return fmt.Errorf("the command: %w", err)
	}
	if result.Resource == nil || result.Resource.ID == "" {
		return fmt.Errorf("the result does not name the new task: %s", result.Response)
	}
	for {
		select {
		case m := <-arrived:
			if m.Broken != nil || m.Event.Subject() != "task/"+result.Resource.ID {
				output.PrintMessage(p.out, m)
				continue
			}
			fmt.Fprintf(p.out, "3. factro noticed the new task and called the bridge's webhook. Every subscriber gets the event:\n"+
				"   %s\n   %s\n   trace %s, a new one: factro passes no traces on\n\n", m.Subject, output.OneLine(m.Data), m.TraceID())
			fmt.Fprint(p.out, "That was it: the round trip is complete.\n\n")
			return nil
		case <-ctx.Done():
			return fmt.Errorf("no event arrived: %w", ctx.Err())
		}
	}
}

func (p walkthrough) hints() {
	line := func(command string, rest ...string) {
		words := append([]string{p.program, command, "--config", p.files.shown(p.files.config)}, rest...)
		fmt.Fprintf(p.out, "   %s\n", strings.Join(words, " "))
	}
	say := func(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }
	where := ""
	if dir, err := os.Getwd(); err == nil {
		where = ", in the folder " + shellWord(dir)
	}
	say("Try it yourself, from another terminal%s:\n", where)
	say("   # be factro: a webhook becomes an event")
	say(`   curl -i -H "X-Bridge-Key: $(cat %s)" -H 'Content-Type: application/json' -d '{"action":"TaskStateChanged","context":{"entityId":"%s"}}' %s`,
		p.files.shown(p.files.secret), factro.ExampleTask, p.listeners.webhooks())
	say("   # one without the secret is refused")
	say("   curl -i -d '{}' %s", p.listeners.webhooks())
	say("   # send a command, and one that factro rejects")
	line("send", "createTask title=Prüfung targetParentId="+p.demo.Package+" --wait")
	line("send", "setTaskState taskId="+p.demo.Package+" state=review --wait")
	say("   # ask factro")
	line("query", "listPackages projectId="+p.demo.Project)
	say("   # look into the streams, as they fill (Ctrl-C ends it) or as they are")
	line("tail", "results --since 1h")
	line("dead list")
	say("   # is it healthy, does something go through, and is anything missing?")
	line("healthcheck")
	line("canary")
	line("reconcile", "--since 1h --dry-run")
	say("   # what a task looks like now, without a request to factro")
	line("get", "task "+factro.ExampleTask)
	say("   # the same with the nats command, as from any other program")
	say("   nats --server %s sub 'factro.event.>'", p.url)
	say(`   nats --server %s pub factro.command.%s.task.createTask '{"title":"Prüfung","targetParentId":"%s"}'`, p.url, devCloud, p.demo.Package)
	say(`   nats --server %s req factro.query.%s.package.listPackages '{"projectId":"%s"}'`, p.url, devCloud, p.demo.Project)
	say("\n%s/_sim/ shows the simulated factro, and how to make it fail.", localURL(p.listeners.sim))
	say("Events, results and what is refused follow as they come. Ctrl-C ends everything.\n")
}
