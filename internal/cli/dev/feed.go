package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// feed is what "bridge dev" prints in addition to the events: results, dead letters, and refused webhooks.
type feed struct {
	lines  chan func(io.Writer) // each prints one thing
	missed atomic.Int64         // refused webhooks that were not printed because they came too fast
}

func newFeed() *feed { return &feed{lines: make(chan func(io.Writer), 100)} }

// follow reads results and dead letters since a time until ctx ends. It leaves out the results of the command ownID, because the
// walkthrough prints them itself.
func (n *feed) follow(ctx context.Context, client *client.Client, p events.Prefix, since time.Time, ownID string) error {
	enqueue := func(one func(io.Writer)) {
		select {
		case n.lines <- one:
		case <-ctx.Done():
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return journal.Tail(ctx, client.JetStream(), p.ResultStream(devCloud), []string{string(p) + ".result." + devCloud + ".>"}, journal.Since(since), func(m journal.Message) {
			if m.Event.Extensions()[attr.CausationID] != ownID {
				enqueue(func(out io.Writer) { printOutcome(out, m) })
			}
		})
	})
	group.Go(func() error {
		filters := []string{string(p) + ".dead.command." + devCloud + ".>", string(p) + ".dead.webhook." + devCloud}
		return journal.Tail(ctx, client.JetStream(), p.DeadStream(devCloud), filters, journal.Since(since), func(m journal.Message) {
			enqueue(func(out io.Writer) { printDeadLetter(out, m) })
		})
	})
	return group.Wait()
}

// printDeadLetter prints a summary of a dead letter; "bridge dead show" prints all of it.
func printDeadLetter(out io.Writer, m journal.Message) {
	why := m.Dead()
	fmt.Fprintf(out, "%s  %s\n  dead letter (%s)\n  %s\n", timetext.FineStamp(m.Time), m.Subject, output.OneLine([]byte(why[events.HeaderDeadCode])),
		output.OneLine([]byte(why[events.HeaderDeadReason])))
	if id := m.TraceID(); id != "" {
		fmt.Fprintf(out, "  trace    %s\n", id)
	}
	fmt.Fprintf(out, "  data     %s\n", output.OneLine(m.Data))
}

// printOutcome prints the result of a command, with all mistakes if the command was invalid.
func printOutcome(out io.Writer, m journal.Message) {
	r, err := events.ResultOf(m.Event)
	if err != nil {
		output.PrintMessage(out, m)
		return
	}
	fmt.Fprintf(out, "%s  %s\n  ", timetext.FineStamp(m.Time), m.Subject)
	output.PrintResult(out, r, m.TraceID())
	if r.Error != nil {
		printMistakes(out, *r.Error)
	}
}

// printMistakes prints the mistakes that are not already in the message of the error.
func printMistakes(out io.Writer, e events.Error) {
	var mistakes []events.FieldError
	if json.Unmarshal(e.Detail, &mistakes) != nil {
		return
	}
	for _, f := range mistakes {
		if !strings.Contains(e.Message, f.Message) {
			fmt.Fprintf(out, "  %-8s %s\n", f.Pointer, f.Message)
		}
	}
}

// refused adds a refused webhook. It never blocks: the answer to the webhook must not wait.
func (n *feed) refused(r ingress.Refusal) {
	at := time.Now()
	one := func(out io.Writer) {
		fmt.Fprintf(out, "%s  webhook refused (%d %s)\n  %s %s\n  %s\n", timetext.FineStamp(at), r.Status, r.Reason, r.Method, r.Path, r.Detail)
		if more := n.missed.Swap(0); more > 0 {
			fmt.Fprintf(out, "  and %d more before it\n", more)
		}
	}
	select {
	case n.lines <- one:
	default:
		n.missed.Add(1)
	}
}
