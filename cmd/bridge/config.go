package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bridge"
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
				_, err := cmd.OutOrStdout().Write(bridge.Sample)
				return err
			},
		},
		&cobra.Command{
			Use: "check [FILE]", Short: "Check a configuration file, the environment and the files that they name; tells every mistake at once",
			Example: "  bridge config check bridge.yaml", Args: cobra.MaximumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				path := ""
				if len(args) > 0 {
					path = args[0]
				}
				cfg, err := bridge.Load(path, os.Environ())
				if err != nil {
					return &exitError{exitUsage, err}
				}
				missing, err := cfg.CheckFiles()
				if err != nil {
					return &exitError{exitUsage, fmt.Errorf("files of the configuration:\n%w", err)}
				}
				for _, text := range slices.Concat(cfg.Warnings(), cfg.Loose(), missing) {
					fmt.Fprintln(cmd.ErrOrStderr(), "warning:", text)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "good: %d cloud(s), roles %v\n", len(cfg.Clouds), cfg.Roles)
				return err
			},
		},
	)
	return cmd
}
