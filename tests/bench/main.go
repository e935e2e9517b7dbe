// Command bench measures the bridge against a floor and a peer, on one machine, in one run:
//
//   - webhook to stored event: a POST that is answered when JetStream has acknowledged the event;
//   - command to result: a message that is pulled, made into a call, answered with a result and settled;
//   - backlog: the memory of the bridge while commands wait.
//
// The floor (./floor) is the least that an honest program does. The peer (./peer) is what a good engineer would wire up
// instead of writing one: Bento with its HTTP, NATS and mapping components. All contestants talk to one NATS server
// (./natsd), to streams with the settings that the bridge made, and get the same payloads.
//
// The contestants are processes of their own, and only their CPU time and memory count; the NATS server, the load
// generator and the simulated Core API are outside. They share the machine with the contestant, though, so requests per
// second say less than requests per CPU-second. Each round runs every contestant once, starting with another one than
// the round before; the tables show medians over the rounds, and ratios are taken within a round.
//
// It needs Linux, because it reads /proc, and an otherwise idle machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

const usage = `Measure the bridge against a floor and a peer, and print tables in Markdown. Raw figures of each round go to stderr.

Usage: go -C tests/bench run . [flags]

Examples:
  go -C tests/bench run .                          # the whole measurement, about twenty minutes
  go -C tests/bench run . --quick                  # does it work? the figures mean nothing
  go -C tests/bench run . --only webhook --rounds 3 2>rounds.log

Flags:
`

// options are the flags.
type options struct {
	quick       bool
	only        string
	rounds      int
	seconds     int
	rate        int
	connections int
	commands    int
	commandRate int
	apiDelay    time.Duration
	idle        time.Duration
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage); flags.PrintDefaults() }
	flags.BoolVar(&o.quick, "quick", false, "one short round of each, to see that everything runs")
	flags.StringVar(&o.only, "only", "", "measure only this `part`: webhook, command or backlog")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each contestant is measured")
	flags.IntVar(&o.seconds, "seconds", 10, "length of each measured window")
	flags.IntVar(&o.rate, "rate", 1000, "webhooks offered per second for the latencies")
	flags.IntVar(&o.connections, "connections", 64, "connections that send webhooks")
	flags.IntVar(&o.commands, "commands", 2000, "commands in the queue for the throughput")
	flags.IntVar(&o.commandRate, "command-rate", 200, "commands offered per second for the latencies")
	flags.DurationVar(&o.apiDelay, "api-delay", 0, "how long the simulated Core API takes to answer")
	flags.DurationVar(&o.idle, "idle", 10*time.Second, "how long the bridge idles before its memory is read")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds, o.seconds, o.commands, o.idle = 1, 1, 200, time.Second
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("there are no arguments, but %q was given", flags.Arg(0))
	case !slices.Contains([]string{"", "webhook", "command", "backlog"}, o.only):
		return o, fmt.Errorf("--only: %q is neither webhook nor command nor backlog", o.only)
	case min(o.rounds, o.seconds, o.rate, o.connections, o.commands, o.commandRate) < 1 || min(o.apiDelay, o.idle) < 0:
		return o, errors.New("rounds, seconds, rates, connections and commands must be positive, durations not negative")
	}
	return o, nil
}

func (o options) measures(part string) bool { return o.only == "" || o.only == part }

func (o options) window() time.Duration { return time.Duration(o.seconds) * time.Second }

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	b, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	idle, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	var webhooks, commands results
	var waiting []backlog
	if o.measures("webhook") {
		if webhooks, err = b.webhooks(ctx); err != nil {
			return err
		}
	}
	if o.measures("command") {
		if commands, err = b.commands(ctx); err != nil {
			return err
		}
	}
	if o.measures("backlog") {
		if waiting, err = b.backlogs(ctx); err != nil {
			return err
		}
	}
	return report(os.Stdout, o, b.machine(), idle, webhooks, commands, waiting)
}
