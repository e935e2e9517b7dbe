// Command floor is the least that an honest program does: "floor webhook" stores webhooks, "floor command" carries out
// commands. It leaves out everything that the bridge adds: events, ids that survive a repetition, traces, metrics, limits,
// validation, pacing. Its settings are environment variables.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "webhook":
		return webhooks(ctx, js)
	case len(args) == 1 && args[0] == "command":
		return commands(ctx, js)
	}
	return errors.New("want one argument, webhook or command")
}
