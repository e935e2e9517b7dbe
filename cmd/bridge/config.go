package main

import (
	"fmt"
	"os"

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
			Use: "check [FILE]", Short: "Check a configuration file and the environment; tells every mistake at once",
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
				for _, text := range append(cfg.Warnings(), cfg.Loose()...) {
					fmt.Fprintln(cmd.ErrOrStderr(), "warning:", text)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "good: %d cloud(s), roles %v\n", len(cfg.Clouds), cfg.Roles)
				return err
			},
		},
	)
	return cmd
}
