// Bridge connects factro, a web application for project management, with NATS JetStream: factro's webhooks become events,
// commands become calls to its Core API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/factro-bridge/factro-bridge/internal/cli"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
)

// version is set by the linker in released binaries.
var version string

// main runs one command line. The first signal ends its context: it finishes what is in flight. The second one ends the process.
func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel()
		<-signals
		os.Exit(exit.Interrupted)
	}()
	os.Exit(cli.Run(ctx, version, os.Args, os.Stdout, os.Stderr))
}
