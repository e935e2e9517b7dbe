package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

// NewSim makes the command sim.
func NewSim() *cobra.Command {
	cfg := sim.Config{Examples: true}
	var listen string
	var webhooks, faults, variants, deliveries []string
	var ahead time.Duration
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run only the simulator of factro",
		Long: `Run the simulator of factro: its Core API at /api/core, and a control API at /_sim/, whose front page explains it.

Where the behavior of factro is not known, flags select it: --variant for the API, --delivery for webhooks. --fault makes the
simulator fail. The control API changes all of them at run time. A webhook has an action, a URL, and optionally a header name
and value, separated by commas. The action * stands for all actions, which factro itself does not support. The key and the
header value of a webhook are read from a file if they have the form @path.

The tenant has one object of each kind, with the ids from the examples in the reference documentation.`,
		Example: `  bridge sim --listen 127.0.0.1:8081 --webhook 'TaskCreated,http://127.0.0.1:8080/webhooks/demo,X-Bridge-Key,a-secret'
  bridge sim --fault cut-after,op=createTask,count=3 --fault latency,delay=200ms,p=0.1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if cfg.Key, err = fromFile(cfg.Key); err != nil {
				return exit.With(exit.WrongUsage, fmt.Errorf("--key: %w", err))
			}
			if err := simConfig(&cfg, webhooks, faults, variants, deliveries); err != nil {
				return exit.With(exit.WrongUsage, err)
			}
			cfg.Now = func() time.Time { return time.Now().Add(ahead) }
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("--listen: %w", err)
			}
			s, err := sim.New(cfg, telemetry.NewLogger(os.Stderr, telemetry.FormatFor("", os.Stderr), nil))
			if err != nil {
				return errors.Join(exit.With(exit.WrongUsage, err), l.Close())
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Core API     http://%s/api/core\ncontrol API  http://%s/_sim/\n", l.Addr(), l.Addr())
			return runSim(cmd.Context(), s, l)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8081", "`address` to listen on")
	cmd.Flags().StringVar(&cfg.Key, "key", sim.DefaultKey, "the accepted API `key`, or @path of a file with it")
	cmd.Flags().IntVar(&cfg.Quota, "quota", sim.DefaultQuota, "`requests` a minute")
	cmd.Flags().Uint64Var(&cfg.Seed, "seed", 0, "seed that makes ids and random faults repeatable")
	cmd.Flags().Var(timetext.Flag(&ahead, 0), "clock", "offset of the simulator's clock, such as `5m`; negative is behind")
	cmd.Flags().StringVar(&cfg.StateDir, "state", "", "`directory` of a journal, from which the simulator restores its state after a crash")
	cmd.Flags().StringArrayVar(&webhooks, "webhook", nil, "register a webhook: `ACTION,URL[,HEADER,VALUE]`; repeatable")
	cmd.Flags().StringArrayVar(&faults, "fault", nil, "a fault, such as `latency,delay=200ms,p=0.1`; repeatable")
	cmd.Flags().StringArrayVar(&variants, "variant", nil, "a behavior of factro that is not known, as `name=value`; repeatable")
	cmd.Flags().StringArrayVar(&deliveries, "delivery", nil, "how webhooks are delivered, as `name=value`; repeatable")
	for flag, complete := range map[string]cobra.CompletionFunc{
		"fault": completeFault, "webhook": completeWebhook,
		"variant": completeSettings(sim.VariantSettings()), "delivery": completeSettings(sim.DeliverySettings()),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, complete)
	}
	return cmd
}

// fromFile returns the content of the file if the value is @path, for secrets that must not be on the command line. Otherwise it
// returns the value.
func fromFile(value string) (string, error) {
	path, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return value, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if value = strings.TrimSpace(string(text)); value == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return value, nil
}

func simConfig(cfg *sim.Config, webhooks, faults, variants, deliveries []string) error {
	var errs []error
	for _, text := range webhooks {
		parts := strings.Split(text, ",")
		if len(parts) != 2 && len(parts) != 4 {
			errs = append(errs, errors.New("--webhook: want ACTION,URL or ACTION,URL,HEADER,VALUE"))
			continue
		}
		w := sim.Webhook{Action: parts[0], URL: parts[1]}
		if len(parts) == 4 {
			value, err := fromFile(parts[3])
			if err != nil {
				errs = append(errs, fmt.Errorf("--webhook: %w", err))
				continue
			}
			w.Header, w.Value = parts[2], value
		}
		cfg.Webhooks = append(cfg.Webhooks, w)
	}
	for _, text := range faults {
		f, err := sim.ParseFault(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--fault: %w", err))
			continue
		}
		cfg.Faults = append(cfg.Faults, f)
	}
	for _, group := range []struct {
		flag  string
		pairs []string
		set   func(name, value string) error
	}{{"--variant", variants, cfg.Variants.Set}, {"--delivery", deliveries, cfg.Delivery.Set}} {
		for _, pair := range group.pairs {
			name, value, _ := strings.Cut(pair, "=")
			if err := group.set(name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", group.flag, err))
			}
		}
	}
	return errors.Join(errs...)
}

// runSim runs the simulator. The end of ctx is not an error.
func runSim(ctx context.Context, s *sim.Sim, l net.Listener) error {
	if err := s.Run(ctx, l); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}
