package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Show and check configurations", Example: "  bridge config sample > bridge.yaml", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "sample", Short: "Print a commented configuration file", Example: "  bridge config sample > bridge.yaml", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := cmd.OutOrStdout().Write(config.Sample)
				return err
			},
		},
		newConfigCheck(),
	)
	return cmd
}

func newConfigCheck() *cobra.Command {
	offline := false
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file, the environment and the files that they name, and list all mistakes",
		Long: `Check a configuration file, the environment, and the files of secrets, keys and certificates that they name. If there are
mistakes, it lists all of them, each with its line and setting or its variable, and exits with 2. For a valid configuration it
prints what a bridge does with it.

A file that is missing or cannot be read causes a warning only: the check may run on another machine or as another user than
the bridge. With --offline it reads no other files. It never connects to NATS or factro.`,
		Example: "  bridge config check bridge.yaml\n  bridge config check --offline bridge.yaml", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, name := "", "the environment"
			if len(args) > 0 {
				path, name = args[0], args[0]
			}
			checked, err := config.Check(path, os.Environ(), offline)
			for _, text := range checked.Cautions {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", text)
			}
			if err != nil {
				return exit.With(exit.WrongUsage, err)
			}
			out := cmd.OutOrStdout()
			if _, err := fmt.Fprintln(out, "configuration is valid:", name); err != nil {
				return fmt.Errorf("print: %w", err)
			}
			for _, line := range checked.Meaning() {
				fmt.Fprintln(out, " ", line)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "read none of the files that the configuration names")
	return cmd
}
