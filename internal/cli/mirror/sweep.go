package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/mirror"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

type sweepFlags struct {
	connect.Flags
	noWait bool
	asJSON bool
}

// New makes the command mirror.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "Show how far the mirror is, and have it compare its copy with factro",
		Long: `Show how far the mirror of a cloud is, and have it compare its copy with factro. All of this is done by the bridge that mirrors the
cloud; it needs the role mirror. The user needs the right to publish to factro.mirror.<cloud>, as the owner has.`,
		Example: "  bridge mirror status --cloud acme\n  bridge mirror verify --cloud acme",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStatus(),
		newSweep(mirror.Snapshot, "Read all objects once more",
			`Read the lists of all mirrored objects at factro, and bring the copy up to them. The first snapshot is made without being asked. One
that was interrupted goes on where it was.`),
		newSweep(mirror.Verify, "Compare the copy with factro, and repair it",
			`Compare all mirrored objects with factro's lists. What differs is repaired and published as a change whose attribute factroorigin
is "verify", also what is gone. The bridge does this by itself as often as mirror.verify says.`),
		newSweep(mirror.Diff, "Compare the copy with factro, and change nothing",
			`Compare all mirrored objects with factro's lists, and name those that differ. Nothing is changed. An object that changes at this
very moment is named, too. The exit code is 3 if something differs.`))
	return cmd
}

func newStatus() *cobra.Command {
	var f sweepFlags
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how far the mirror of a cloud is",
		Long:    "Show how far the mirror of a cloud is: what is mirrored, what waits to be read, and when it was last compared with factro.",
		Example: "  bridge mirror status --cloud acme\n  bridge mirror status --config bridge.yaml --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd, mirror.Status) },
	}
	f.add(cmd)
	return cmd
}

func newSweep(want, short, long string) *cobra.Command {
	var f sweepFlags
	cmd := &cobra.Command{
		Use: want, Short: short, Long: long,
		Example: fmt.Sprintf("  bridge mirror %[1]s --cloud acme\n  bridge mirror %[1]s --cloud acme --json", want),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd, want) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "do not wait for the end")
	return cmd
}

func (f *sweepFlags) add(cmd *cobra.Command) {
	f.Flags.Add(cmd)
	f.CloudFlag(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

const (
	answerWithin = 5 * time.Second
	askEvery     = 500 * time.Millisecond
	// silentFor is how long the bridge that mirrors the cloud may be missing, as during a takeover.
	silentFor = 30 * time.Second
)

func (f *sweepFlags) run(cmd *cobra.Command, want string) error {
	broker, err := f.Dial()
	if err != nil {
		return err
	}
	defer broker.Close()
	broker.CollectRefusals()
	ctx := cmd.Context()
	choose, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := f.ChooseCloud(choose, broker); err != nil {
		return err
	}
	first, err := f.ask(ctx, broker, want)
	if err != nil {
		return err
	}
	if want == mirror.Status || f.noWait {
		return f.print(cmd.OutOrStdout(), first)
	}
	last, err := f.await(ctx, broker, cmd.ErrOrStderr(), first)
	if err != nil {
		return err
	}
	if err := f.print(cmd.OutOrStdout(), last); err != nil {
		return err
	}
	if want == mirror.Diff && last.Last.Differences > 0 {
		return exit.Silent(exit.Rejected)
	}
	return nil
}

// await waits until a sweep that was asked for has ended, and shows how far it is.
func (f *sweepFlags) await(ctx context.Context, broker *client.Client, out io.Writer, first mirror.Report) (mirror.Report, error) {
	began, heard := first.Last, time.Now()
	for {
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return mirror.Report{}, ctx.Err()
		}
		now, err := f.ask(ctx, broker, mirror.Status)
		switch {
		case err != nil && time.Since(heard) < silentFor && ctx.Err() == nil:
			continue
		case err != nil:
			return now, err
		case now.Last != nil && (began == nil || !now.Last.Ended.Equal(began.Ended)):
			return now, nil
		}
		heard = time.Now()
		if now.Sweep != nil && !f.asJSON {
			fmt.Fprintln(out, running(now))
		}
	}
}

// ask asks the bridge that mirrors the cloud.
func (f *sweepFlags) ask(ctx context.Context, broker *client.Client, want string) (r mirror.Report, _ error) {
	question, err := json.Marshal(mirror.Request{Want: want})
	if err != nil {
		return r, err
	}
	asking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	subject := queries.MirrorSubject(events.Prefix(f.Prefix), f.Cloud)
	msg, err := broker.NATS().RequestWithContext(asking, subject, question)
	switch {
	case natserr.NobodyAnswers(err):
		return r, fmt.Errorf("no bridge mirrors the cloud %s: none with the role mirror is connected, or it has only just begun: %w", f.Cloud, err)
	case errors.Is(err, context.DeadlineExceeded):
		return r, broker.Why(fmt.Errorf("no answer within %s: %w", answerWithin, err), subject)
	case err != nil:
		return r, broker.Why(err, subject)
	}
	if text := msg.Header.Get(events.HeaderError); text != "" {
		return r, errors.New(text)
	}
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		return r, fmt.Errorf("the answer of the bridge: %w", err)
	}
	return r, nil
}

func (f *sweepFlags) print(out io.Writer, r mirror.Report) error {
	if f.asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := io.WriteString(out, text(r))
	return err
}
