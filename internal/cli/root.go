package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/contract"
	"github.com/factro-bridge/factro-bridge/internal/cli/dead"
	"github.com/factro-bridge/factro-bridge/internal/cli/delayed"
	"github.com/factro-bridge/factro-bridge/internal/cli/dev"
	"github.com/factro-bridge/factro-bridge/internal/cli/doctor"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/keys"
	"github.com/factro-bridge/factro-bridge/internal/cli/mirror"
	"github.com/factro-bridge/factro-bridge/internal/cli/operation"
	"github.com/factro-bridge/factro-bridge/internal/cli/steer"
	"github.com/factro-bridge/factro-bridge/internal/cli/tail"
	"github.com/factro-bridge/factro-bridge/internal/cli/trace"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
)

// Run runs one command line and returns its exit code. The first of args is the name of the program. ctx ends when the program has
// to stop.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer) int {
	root := newRoot(buildVersion(version)) //nolint:contextcheck // commands get it from ExecuteContext
	renamed := rename(root, strings.TrimSuffix(filepath.Base(args[0]), ".exe"))
	root.SetArgs(args[1:])
	// Much of the output comes from elsewhere, so control characters are escaped.
	root.SetOut(telemetry.Printable(stdout))
	problems := telemetry.Printable(stderr)
	root.SetErr(problems)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exit.OK
	}
	if code, ok := errors.AsType[*exit.Error](err); ok {
		if code.Err != nil {
			fmt.Fprintln(problems, "bridge:", renamed(secret.Scrub(code.Err.Error())))
		}
		return code.Code
	}
	fmt.Fprintln(problems, "bridge:", renamed(secret.Scrub(err.Error())))
	return exit.Failure
}

func newRoot(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "bridge",
		Short: "The bridge between factro and NATS JetStream",
		Long: `The bridge between factro and NATS JetStream. Webhooks from factro become CloudEvents on subjects. Commands on NATS become
calls to factro's Core API, and each command gets a result event.

Start with "bridge dev": it needs no setup and shows one round trip.`,
		Example:       "  bridge dev",
		Args:          cobra.NoArgs,
		Version:       versionLine(version),
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(dev.New(version), newRun(version), newHealthcheck(), dev.NewSim(), operation.NewSend(), operation.NewQuery(), delayed.New(), delayed.NewCancel(), tail.New(), trace.New(), mirror.NewGet(), mirror.NewWatch(), newStatus(), doctor.New(version), dead.New(), keys.New(), newReconcile(version), mirror.New(), newCanary(version), newStreams(),
		steer.NewPause(), steer.NewResume(), steer.NewPauses(), steer.NewPurge(),
		newConfig(), contract.New(), newVersion(version))
	reportArgumentMistakes(root)
	jsonErrors(root)
	addExitCodes(root)
	completeFiles(root)
	return root
}

// rename makes help, usage, completion and errors use the name under which the program was started. Packages install it as
// factro-bridge, since iproute2 has another program called bridge. It returns the function that does this for a text.
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
