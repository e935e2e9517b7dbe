package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bridge"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
)

func newRun(version string) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the bridge",
		Long: `Run the bridge with its configuration. SIGTERM stops it gracefully: it accepts no more webhooks and commands, finishes
what is in flight within shutdown_timeout, and exits with 0. A second signal stops it at once. SIGHUP is logged and
changes nothing: the bridge reloads files of secrets and certificates by itself, all other settings need a restart.

The standard OTEL_ variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, say where traces and metrics go.`,
		Example: "  bridge config sample > bridge.yaml\n  bridge run --config bridge.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, os.Environ())
			if err != nil {
				return exit.With(exit.WrongUsage, err)
			}
			if err := cfg.CheckSecrets(); err != nil {
				return exit.With(exit.WrongUsage, err)
			}
			log := telemetry.NewLogger(os.Stderr, telemetry.FormatFor(cfg.Log.Format, os.Stderr), cfg.Log.Level)
			stopLogging := logHangups(cmd.Context(), log)
			defer stopLogging()
			return runBridge(cmd.Context(), cfg, version, log)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration `file`; without it, all settings come from the environment")
	return cmd
}

// logHangups logs each SIGHUP until stop is called. Operators and tools send it to reload a configuration. By default it would end
// the process.
func logHangups(ctx context.Context, log *slog.Logger) (stop func()) {
	hangups, stopped, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for {
			select {
			case <-hangups:
				log.WarnContext(ctx, "SIGHUP changes nothing: files of secrets and certificates are read again by themselves; restart the bridge for all other settings")
			case <-stopped:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(stopped)
		<-ended
	}
}

// runBridge runs one bridge between starting and stopping telemetry.
func runBridge(ctx context.Context, cfg config.Config, version string, log *slog.Logger) error {
	slog.SetDefault(log)
	for _, w := range cfg.Loose() {
		log.WarnContext(ctx, "everybody on this machine may read a secret", "file", w)
	}
	t, err := telemetry.Start(ctx, version, log)
	if err != nil {
		return err
	}
	defer t.Stop(ctx)
	b, err := bridge.New(cfg, version, t.Metrics, log)
	if err != nil {
		return err
	}
	l, err := b.Listen()
	if err != nil {
		return err
	}
	return b.Run(ctx, l)
}
