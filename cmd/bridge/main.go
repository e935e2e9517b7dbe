// Bridge connects factro, a web application for project management, with NATS JetStream: factro's webhooks become events,
// commands become calls to its Core API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
)

func main() { os.Exit(run(os.Args[1:])) }

// run is main with an exit code. The first signal ends the context, which is the polite end; the second one ends the
// process.
func run(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()

	root := newRoot()
	renamed := rename(root, strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"))
	root.SetArgs(args)
	// Much of what is printed others have written.
	root.SetOut(telemetry.Printable(os.Stdout))
	problems := telemetry.Printable(os.Stderr)
	root.SetErr(problems)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[*exitError](err); ok {
		if code.err != nil {
			fmt.Fprintln(problems, "bridge:", renamed(secret.Scrub(code.err.Error())))
		}
		return code.code
	}
	fmt.Fprintln(problems, "bridge:", renamed(secret.Scrub(err.Error())))
	return exitFailure
}

// Exit codes. They are part of the interface, for scripts.
const (
	exitOK       = 0
	exitFailure  = 1 // something went wrong
	exitUsage    = 2 // the command line is wrong
	exitRejected = 3 // the command was rejected, or the query refused
	exitDead     = 4 // the command was given up and is among the dead letters
	exitNoResult = 5 // the result or the answer did not come in time; a command is still in the stream

	exitDifferent = 6 // two descriptions differ, the streams from what is wanted, or the stream of events from factro

	exitInterrupted = 130 // a second signal came before the polite end was reached
)

// exitError is an error with an exit code. Without err nothing more is printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

// rewordedError is an error with another text, for people.
type rewordedError struct {
	text string
	err  error
}

func (e *rewordedError) Error() string { return e.text }
func (e *rewordedError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "bridge",
		Short: "The bridge between factro and NATS JetStream",
		Long: `The bridge between factro and NATS JetStream: factro's webhooks become CloudEvents on subjects, commands published
to NATS become calls to factro's Core API, and each command is answered with a result event.

Start with "bridge dev": it needs nothing, and shows one round trip.`,
		Example:       "  bridge dev",
		Args:          cobra.NoArgs,
		Version:       versionLine(),
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(newDev(), newRun(), newHealthcheck(), newSim(), newSend(), newQuery(), newTail(), newDead(), newReconcile(), newCanary(), newStreams(), newConfig(), newContract(), newVersion())
	strict(root)
	jsonErrors(root)
	tellExits(root)
	completeFiles(root)
	return root
}

// rename has help, usage, completion and errors use the name by which the program was started: packages install it as factro-bridge,
// since iproute2 has another program called bridge. It returns what does so with a text.
func rename(root *cobra.Command, name string) func(text string) string {
	var commands []string
	for _, sub := range root.Commands() {
		commands = append(commands, sub.Name())
	}
	line := regexp.MustCompile(`(^|[^\w./-])` + root.Name() + ` (` + strings.Join(commands, "|") + `)\b`)
	renamed := func(text string) string { return line.ReplaceAllString(text, "${1}"+name+" ${2}") }
	var change func(*cobra.Command)
	change = func(cmd *cobra.Command) {
		cmd.Example, cmd.Long = renamed(cmd.Example), renamed(cmd.Long)
		for _, sub := range cmd.Commands() {
			change(sub)
		}
	}
	change(root)
	root.Use = name
	return renamed
}
