package steer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/control/store"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// waitFor bounds how long the broker may take.
const waitFor = 10 * time.Second

type pauseFlags struct {
	connect.Flags
	direction, reason, who string
	asJSON                 bool
}

// NewPause makes the command pause.
func NewPause() *cobra.Command {
	var f pauseFlags
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Pause a part of the work of all bridges for a cloud",
		Long: `Pause a part of the work of all bridges for a cloud, until "bridge resume" ends that. The pause is in a bucket on NATS: every
bridge obeys within a second, also after a restart. What is being worked on is finished.

  commands       nothing is called for commands; they wait in their stream, and their senders learn why
  queries        every query is answered at once, with the error "paused"
  webhooks-out   they are taken and kept in the spool, and published in their order later; a bridge without spool.dir
                 goes on publishing, since it has nowhere to keep them
  mirror         the mirror is not updated; this is stored, and takes effect in bridges that have a mirror

A pause that is there already gets the new reason. "bridge pauses" lists all. The user needs the rights of the owner.`,
		Example: "  bridge pause --cloud acme --direction commands --reason \"import at factro until 14:00\"\n  bridge pause --config bridge.yaml --direction webhooks-out --reason \"NATS is moved\" --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.change(cmd, false) },
	}
	f.add(cmd, "why it is paused, for everybody who meets the pause")
	return cmd
}

// NewResume makes the command resume.
func NewResume() *cobra.Command {
	var f pauseFlags
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Resume what was paused",
		Long: `Resume what "bridge pause" has paused. Every bridge goes on within a second: commands and webhooks that have waited are worked
off in their order. What is not paused stays as it is, and that is no error.`,
		Example: "  bridge resume --cloud acme --direction commands",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.change(cmd, true) },
	}
	f.add(cmd, "why it is resumed")
	return cmd
}

func (f *pauseFlags) add(cmd *cobra.Command, reason string) {
	f.Flags.Add(cmd)
	f.CloudFlag(cmd)
	var names []string
	for _, d := range control.Directions() {
		names = append(names, string(d))
	}
	cmd.Flags().StringVar(&f.direction, "direction", "", "`part` of the work: "+strings.Join(names, ", "))
	_ = cmd.RegisterFlagCompletionFunc("direction", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&f.reason, "reason", "", reason)
	cmd.Flags().StringVar(&f.who, "who", "", "`name` of who does it (default "+nameForm+")")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

// nameForm is how a person at a machine is called unless --who says otherwise.
const nameForm = "user@host"

// whoami is the person at this machine, for others to ask.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// entry is a pause as JSON.
type entry struct {
	Cloud     string            `json:"cloud"`
	Direction control.Direction `json:"direction"`
	Paused    bool              `json:"paused"`
	control.Pause
	// Before is the pause that was there.
	Before *control.Pause `json:"before,omitempty"`
}

func (f *pauseFlags) change(cmd *cobra.Command, resume bool) error {
	direction, err := control.ParseDirection(f.direction)
	switch {
	case f.direction == "":
		return exit.Usage("--direction: which part? commands, webhooks-out, queries or mirror")
	case err != nil:
		return exit.Usage("--direction: %w", err)
	case !resume && f.reason == "":
		return exit.Usage("--reason: why? Everybody who meets the pause sees it")
	}
	client, err := f.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	client.CollectRefusals()
	ctx, cancel := context.WithTimeout(cmd.Context(), waitFor)
	defer cancel()
	if err := f.ChooseCloud(ctx, client); err != nil {
		return err
	}
	if f.who == "" {
		f.who = whoami()
	}
	e := entry{
		Cloud: f.Cloud, Direction: direction, Paused: !resume, Pause: control.Pause{Who: f.who, When: time.Now().UTC().Truncate(time.Second), Why: f.reason},
	}
	pauses, at := f.pauses(client), control.Place{Cloud: f.Cloud, Direction: direction}
	if resume {
		e.Before, err = pauses.Resume(ctx, at, e.Pause)
	} else {
		e.Before, err = pauses.Pause(ctx, at, e.Pause)
	}
	if err != nil {
		return explain(client, err)
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), e)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), e.text())
	return err
}

// pauses are those of the prefix that the flags choose.
func (f *pauseFlags) pauses(client *client.Client) *store.Pauses {
	return store.Of(prefixed{client, events.Prefix(f.Prefix)}, slog.New(slog.DiscardHandler))
}

// explain adds which permission is missing to an error of the bucket.
func explain(client *client.Client, err error) error {
	return client.Why(err, "$KV.", client.Settings().API(""))
}

func (e entry) text() string {
	what := fmt.Sprintf("%s of %s:", e.Direction, e.Cloud)
	switch {
	case !e.Paused && e.Before == nil:
		return what + " not paused"
	case !e.Paused:
		return what + " resumed; it was " + e.Before.String()
	}
	text := what + " paused"
	if e.Before != nil {
		text += "; before, it was " + e.Before.String()
	}
	switch e.Direction { //nolint:exhaustive // the others need no remark
	case control.WebhooksOut:
		text += ". Bridges without spool.dir go on publishing"
	case control.Mirror:
		text += ". It takes effect in bridges that have a mirror"
	}
	return text
}

// NewPauses makes the command pauses.
func NewPauses() *cobra.Command {
	var f pauseFlags
	cmd := &cobra.Command{
		Use:     "pauses",
		Short:   "List what is paused",
		Long:    `List what operators have paused: for each cloud the part of the work, since when, who did it and why.`,
		Example: "  bridge pauses\n  bridge pauses --cloud acme --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.list(cmd) },
	}
	f.Flags.Add(cmd)
	f.OnlyCloudFlag(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *pauseFlags) list(cmd *cobra.Command) error {
	client, err := f.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	client.CollectRefusals()
	ctx, cancel := context.WithTimeout(cmd.Context(), waitFor)
	defer cancel()
	all, err := f.pauses(client).Read(ctx)
	if err != nil && !errors.Is(err, store.ErrNoBucket) { // without a bucket nothing is paused
		return explain(client, err)
	}
	entries := []entry{}
	for _, at := range slices.SortedFunc(maps.Keys(all), func(a, b control.Place) int { return strings.Compare(a.Key(), b.Key()) }) {
		if f.Cloud == "" || f.Cloud == at.Cloud {
			entries = append(entries, entry{Cloud: at.Cloud, Direction: at.Direction, Paused: true, Pause: all[at]})
		}
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), entries)
	}
	return printPauses(cmd.OutOrStdout(), entries)
}

func printPauses(out io.Writer, entries []entry) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(out, "nothing is paused")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "CLOUD\tDIRECTION\tSINCE\tBY\tREASON\n")
	for _, e := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Cloud, e.Direction, timetext.Stamp(e.When), output.OneLine([]byte(e.Who)), output.OneLine([]byte(e.Why)))
	}
	return w.Flush()
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
