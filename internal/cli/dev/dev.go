package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bridge"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
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

// New makes the command dev.
func New(version string) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process: NATS, a simulated factro, and the bridge",
		Long: `Run an embedded NATS server, the factro simulator and the bridge in one process on this machine, with nothing to
configure. It runs one round trip, explains each step, and prints commands to try. Then it prints what happens until it is
interrupted: events, results of commands with the reason of a rejection, dead letters, and refused webhooks.

The usual ports are 4222 (NATS), 8080 (webhooks), 9090 (admin) and 8081 (simulator). If a port is taken, it uses a free one
and says so. If you give an address, it uses that address or fails.

While it runs, the current folder has its configuration, dev.yaml, and files with the webhook secret and the simulator's API
key, so that you can use other commands with --config dev.yaml. It overwrites nothing: if the folder is read-only or already
has such files, they are in the directory of the streams, and the commands to try use that path.`,
		Example: "  bridge dev\n  bridge dev --no-demo --data ./dev-data",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout(), version) },
	}
	cmd.Flags().StringVar(&f.http, "http", "", "`address` for webhooks (default 127.0.0.1:8080 or a free port)")
	cmd.Flags().StringVar(&f.admin, "admin", "", "`address` for metrics and health (default 127.0.0.1:9090 or a free port)")
	cmd.Flags().StringVar(&f.nats, "nats", "", "`address` for NATS clients (default 127.0.0.1:4222 or a free port)")
	cmd.Flags().StringVar(&f.sim, "sim", "", "`address` of the simulated factro (default 127.0.0.1:8081 or a free port)")
	cmd.Flags().StringVar(&f.data, "data", "", "`directory` for the streams, kept between runs (default a temporary one)")
	cmd.Flags().BoolVar(&f.noDemo, "no-demo", false, "do not run the round trip")
	return cmd
}

func (f *devFlags) run(ctx context.Context, out io.Writer, version string) (err error) {
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
	server, err := f.startNATS(&d)
	if err != nil {
		return errors.Join(err, d.close())
	}
	defer server.Close()
	t, err := telemetry.Start(ctx, version, log)
	if err != nil {
		return errors.Join(err, d.close())
	}
	defer t.Stop(ctx)

	files, err := writeDevFiles(ctx, d, server.URL(), f.data)
	if err != nil {
		return errors.Join(err, d.close())
	}
	defer func() { err = errors.Join(err, files.remove()) }()
	factro, err := sim.New(sim.Config{Key: files.value(files.key), Examples: true, Webhooks: []sim.Webhook{{
		URL: d.webhooks(), Action: "*", Header: "X-Bridge-Key", Value: files.value(files.secret),
	}}}, log)
	if err != nil {
		return errors.Join(err, d.close())
	}
	cfg, err := config.Load(files.config, nil) // the same file that other commands read
	if err != nil {
		return errors.Join(err, d.close())
	}
	b, err := bridge.New(cfg, version, t.Metrics, log)
	if err != nil {
		return errors.Join(err, d.close())
	}

	w := walkthrough{
		out: out, url: server.URL(), prefix: events.DefaultPrefix, demo: factro.Demo(), listeners: d, files: files, program: startedAs(),
		feed: newFeed(),
	}
	b.OnRefused(w.feed.refused)

	// The simulated factro stops after the bridge, so that a command in flight can finish.
	simCtx, stopSim := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSim()
	simulator := make(chan error, 1)
	go func() { simulator <- runSim(simCtx, factro, d.sim) }()

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.Run(ctx, bridge.Listeners{HTTP: d.http, Admin: d.admin}) })
	group.Go(func() error {
		w.banner()
		return w.run(ctx, !f.noDemo)
	})
	err = group.Wait()
	stopSim()
	return errors.Join(err, <-simulator)
}

// listeners are the listeners of the parts.
type listeners struct {
	http, admin, sim net.Listener
	moved            []string // sentences about the parts that do not use their usual port
}

// open opens the given addresses, or the usual ports, or free ports where the usual ones are taken.
func (f *devFlags) open() (listeners, error) {
	var d listeners
	for _, part := range []struct {
		flag, address, usual, what string
		into                       *net.Listener
	}{
		{"--http", f.http, "8080", "the webhook server listens", &d.http},
		{"--admin", f.admin, "9090", "the admin server listens", &d.admin},
		{"--sim", f.sim, "8081", "the simulated factro listens", &d.sim},
	} {
		l, why, err := listen(part.address, part.usual)
		if err != nil {
			return listeners{}, errors.Join(fmt.Errorf("%s: %w", part.flag, err), d.close())
		}
		*part.into = l
		if why != "" {
			d.moved = append(d.moved, movedTo(part.usual, why, part.what, l.Addr().String()))
		}
	}
	return d, nil
}

// startNATS starts the server at the given address, or at the usual port, or at a free one. The server itself opens the port: after a
// check beforehand, another process could still take it.
func (f *devFlags) startNATS(d *listeners) (*embedded.Server, error) {
	const usual = "4222"
	server, err := embedded.Start(embedded.Config{DataDir: f.data, Listen: cmp.Or(f.nats, "127.0.0.1:"+usual)})
	if err == nil || f.nats != "" {
		return server, err
	}
	why := listenErrorText(err)
	if server, err = embedded.Start(embedded.Config{DataDir: f.data, Listen: "127.0.0.1:0"}); err != nil {
		return nil, err
	}
	d.moved = append([]string{movedTo(usual, why, "NATS listens", server.URL())}, d.moved...)
	return server, nil
}

// movedTo says that a part does not use its usual port. The address ends with the port.
func movedTo(usual, why, what, address string) string {
	return fmt.Sprintf("%s %s, %s on %s", usual, why, what, address[strings.LastIndex(address, ":")+1:])
}

func (d listeners) close() error {
	var errs []error
	for _, l := range []net.Listener{d.http, d.admin, d.sim} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// localURL is the base URL by which this machine reaches a listener.
func localURL(l net.Listener) string {
	address, err := connect.Local(l.Addr().String())
	if err != nil {
		address = l.Addr().String()
	}
	return "http://" + address
}

func (d listeners) webhooks() string { return localURL(d.http) + "/webhooks/" + devCloud }

// listen opens an address, or the usual port of this machine, or a free one. It says why the usual one is not used.
func listen(address, usual string) (l net.Listener, why string, err error) {
	if address != "" {
		l, err = net.Listen("tcp", address)
		return l, "", err
	}
	l, err = net.Listen("tcp", "127.0.0.1:"+usual)
	if err != nil {
		why = listenErrorText(err)
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return l, why, err
}
