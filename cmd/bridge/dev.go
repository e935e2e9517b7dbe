package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bridge"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

type devFlags struct {
	http, admin, nats, sim string
	data                   string
	noDemo                 bool
}

// devCloud is the name of the simulated factro cloud.
const devCloud = "demo"

func newDev() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process: NATS, a simulated factro, and the bridge",
		Long: `Run an embedded NATS server, the factro simulator and the bridge in one process on this machine, with nothing to
configure. It plays one round trip, tells it in plain words, and then prints further events until it is interrupted.

The usual ports are 4222 (NATS), 8080 (webhooks), 9090 (admin) and 8081 (simulator). If one is taken, a free one is
used; if you name an address, it is that one or an error.`,
		Example: "  bridge dev\n  bridge dev --no-demo --data ./dev-data",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&f.http, "http", "", "`address` for webhooks (default 127.0.0.1:8080 or a free port)")
	cmd.Flags().StringVar(&f.admin, "admin", "", "`address` for metrics and health (default 127.0.0.1:9090 or a free port)")
	cmd.Flags().StringVar(&f.nats, "nats", "", "`address` for NATS clients (default 127.0.0.1:4222 or a free port)")
	cmd.Flags().StringVar(&f.sim, "sim", "", "`address` of the simulated factro (default 127.0.0.1:8081 or a free port)")
	cmd.Flags().StringVar(&f.data, "data", "", "`directory` for the streams, kept between runs (default a temporary one)")
	cmd.Flags().BoolVar(&f.noDemo, "no-demo", false, "do not play the round trip")
	return cmd
}

func (f *devFlags) run(ctx context.Context, out io.Writer) (err error) {
	log := telemetry.NewLogger(os.Stderr, telemetry.FormatFor("", os.Stderr), slog.LevelWarn)
	slog.SetDefault(log)
	if f.data == "" {
		if f.data, err = os.MkdirTemp("", "factro-bridge-"); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(f.data)) }()
	}
	d, err := f.open()
	if err != nil {
		return err
	}
	server, err := embedded.Start(embedded.Config{DataDir: f.data, Listen: d.nats})
	if err != nil {
		return errors.Join(err, d.close())
	}
	defer server.Close()
	t, err := telemetry.Start(ctx, buildVersion(), log)
	if err != nil {
		return errors.Join(err, d.close())
	}
	defer t.Stop(ctx)

	webhook, key := "dev-"+rand.Text(), "dev-"+rand.Text()
	factro, err := sim.New(sim.Config{Key: key, Examples: true, Webhooks: []sim.Webhook{{
		URL: "http://" + d.http.Addr().String() + "/webhooks/" + devCloud, Action: "*", Header: "X-Bridge-Key", Value: webhook,
	}}}, log)
	if err != nil {
		return errors.Join(err, d.close())
	}
	cfg := bridge.Default()
	cfg.NATS.URL = server.URL()
	cfg.ShutdownTimeout = 5 * time.Second
	cfg.Clouds = []bridge.Cloud{{
		Name: devCloud, Source: "urn:factro:cloud:" + devCloud,
		Webhook: bridge.Webhook{Header: "X-Bridge-Key", Secrets: []secret.Source{{Value: secret.String(webhook)}}},
		API: bridge.API{
			URL: "http://" + d.sim.Addr().String() + "/api/core", Key: secret.Source{Value: secret.String(key)},
			RequestsPerMinute: 480, Timeout: 20 * time.Second,
		},
	}}
	b, err := bridge.New(cfg, buildVersion(), t.Metrics, log)
	if err != nil {
		return errors.Join(err, d.close())
	}

	// The simulated factro outlives the bridge, so that a command in hand can be finished.
	outer, stopOuter := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOuter()
	simulator := make(chan error, 1)
	go func() { simulator <- runSim(outer, factro, d.sim) }()

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.Run(ctx, bridge.Listeners{HTTP: d.http, Admin: d.admin}) })
	group.Go(func() error {
		p := play{out: out, url: server.URL(), prefix: events.DefaultPrefix, demo: factro.Demo()}
		p.banner(d)
		return p.run(ctx, !f.noDemo)
	})
	err = group.Wait()
	stopOuter()
	return errors.Join(err, <-simulator)
}

// doors are the addresses of the parts.
type doors struct {
	http, admin, sim net.Listener
	nats             string // only an address: the server opens it itself
}

// open opens the named addresses, and free ones where the usual are taken.
func (f *devFlags) open() (doors, error) {
	var d doors
	var err error
	for _, door := range []struct {
		flag, address, usual string
		into                 *net.Listener
	}{
		{"--http", f.http, "127.0.0.1:8080", &d.http},
		{"--admin", f.admin, "127.0.0.1:9090", &d.admin},
		{"--sim", f.sim, "127.0.0.1:8081", &d.sim},
	} {
		if *door.into, err = listen(door.address, door.usual); err != nil {
			return doors{}, errors.Join(fmt.Errorf("%s: %w", door.flag, err), d.close())
		}
	}
	l, err := listen(f.nats, "127.0.0.1:4222")
	if err != nil {
		return doors{}, errors.Join(fmt.Errorf("--nats: %w", err), d.close())
	}
	d.nats = l.Addr().String()
	return d, l.Close()
}

func (d doors) close() error {
	var errs []error
	for _, l := range []net.Listener{d.http, d.admin, d.sim} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

func listen(address, usual string) (net.Listener, error) {
	if address != "" {
		return net.Listen("tcp", address)
	}
	l, err := net.Listen("tcp", usual)
	if err != nil {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return l, nil
}
