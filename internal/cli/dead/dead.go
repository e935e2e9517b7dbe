package dead

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/operation"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// New makes the command dead.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Show dead letters, send them again, or delete them",
		Long: `Show dead letters, send them again, or delete them. A dead letter is a command that the bridge gave up, or a webhook that
could not become an event. It has the original message and the reason.

The name of a dead letter is its cloud and its sequence there, such as acme/17, or the id of its command. With --cloud, or if
there is only one cloud, the sequence is enough. Finding the clouds needs the right to list streams; --cloud needs only the
rights for that cloud.`,
		Example: "  bridge dead list --since 24h\n  bridge dead show acme/17\n  bridge dead show order-4711\n  bridge dead redrive acme/17 --wait",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeadList(), newDeadShow(), newDeadParked(), newDeadRedrive(), newDeadDrop())
	return cmd
}

// deadFlags are the flags that select dead letters.
type deadFlags struct {
	connect.Flags
	output.ProgressFlag
	filter            deadletter.Filter
	since, until, seq string
	// last has the highest sequence for each cloud, unless it is nil. Clouds that are not in it are skipped.
	last map[string]uint64
}

// deadName is the name of a dead letter: its cloud and its sequence there, or the id of the command. The cloud is empty if the user
// did not give it.
type deadName struct {
	cloud    string
	sequence uint64
	id       string
}

// readDeadName reads acme/17, 17, or the id of a command.
func readDeadName(s string) (deadName, error) {
	cloud, number, ok := strings.Cut(s, "/")
	if !ok {
		cloud, number = "", s
	}
	n, err := strconv.ParseUint(number, 10, 64)
	switch {
	case err == nil && n > 0 && (cloud != "" || !ok):
		return deadName{cloud: cloud, sequence: n}, nil
	case s == "" || err == nil: // acme/0 and /17 are typing mistakes, not ids
		return deadName{}, exit.Usage("%q is neither a dead letter such as acme/17 nor the id of a command; bridge dead list shows both", s)
	}
	return deadName{id: s}, nil
}

func (f *deadFlags) add(cmd *cobra.Command) {
	f.Flags.Add(cmd)
	f.ProgressFlag.Add(cmd)
	flags := cmd.Flags()
	f.OnlyCloudFlag(cmd)
	flags.StringVar(&f.filter.Operation, "operation", "", "only commands of this operation")
	flags.StringVar(&f.filter.Kind, "kind", "", "only of this `kind`: command or webhook")
	flags.StringVar(&f.filter.Code, "code", "", "only with this `code`: "+strings.Join(deadCodes(), ", "))
	flags.StringVar(&f.filter.ID, "id", "", "only the command with this `id`")
	flags.StringVar(&f.since, "since", "", "only from this `time` on: 2h (ago), 7d, 2026-03-01, or 2026-03-01T12:00:00Z")
	flags.StringVar(&f.until, "until", "", "only up to this `time`, given as for --since")
	flags.StringVar(&f.seq, "seq", "", "only this `sequence` of a cloud, or a range such as 17-40")
	flags.IntVar(&f.filter.Limit, "limit", 0, "at most this many, the oldest first")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{deadletter.Command, deadletter.Webhook}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("code", cobra.FixedCompletions(deadCodes(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("operation", operation.Complete)
	_ = cmd.RegisterFlagCompletionFunc("id", completeIDs(&f.Flags))
}

// deadCodes are the codes that a dead letter can have.
func deadCodes() []string { return slices.Sorted(maps.Keys(checkHints)) }

// chosen says whether any flag selects dead letters.
func (f *deadFlags) chosen() bool {
	return f.filter != (deadletter.Filter{}) || f.since != "" || f.until != "" || f.seq != ""
}

// read makes the filter from the flags.
func (f *deadFlags) read(now time.Time) error {
	if k := f.filter.Kind; k != "" && k != deadletter.Command && k != deadletter.Webhook {
		return exit.Usage("--kind: %q is neither command nor webhook", k)
	}
	if _, ok := checkHints[f.filter.Code]; !ok && f.filter.Code != "" {
		return exit.Usage("--code: %q is not a code of a dead letter; codes are %s", f.filter.Code, strings.Join(deadCodes(), ", "))
	}
	if f.filter.Limit < 0 {
		return exit.Usage("--limit: %d is negative", f.filter.Limit)
	}
	var err error
	if f.filter.Since, err = timetext.Moment(f.since, now); err != nil {
		return exit.Usage("--since: %w", err)
	}
	if f.filter.Until, err = timetext.Moment(f.until, now); err != nil {
		return exit.Usage("--until: %w", err)
	}
	if f.seq == "" {
		return nil
	}
	first, last, isRange := strings.Cut(f.seq, "-")
	if !isRange {
		last = first
	}
	if f.filter.First, err = sequence(first); err == nil {
		f.filter.Last, err = sequence(last)
	}
	if err == nil && f.filter.Last < f.filter.First {
		err = exit.Usage("%s ends before it begins", f.seq)
	}
	if err != nil {
		return exit.Usage("--seq: %w", err)
	}
	return nil
}

func sequence(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, exit.Usage("%q is not a sequence; bridge dead list shows them", s)
	}
	return n, nil
}

// each calls do for the named dead letters, or else for those that the flags select, cloud by cloud. A named dead letter that does
// not exist is an error. watched counts the dead letters that were read; it may be nil.
func (f *deadFlags) each(ctx context.Context, client *client.Client, named []deadName, watched *progress.Task, do func(deadletter.Entry) error) error {
	p := events.Prefix(f.Prefix)
	if len(named) > 0 {
		for _, n := range named {
			l, err := find(ctx, &f.Flags, client, n, watched)
			if err == nil {
				err = do(l)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	clouds, err := f.Clouds(ctx, client)
	if err != nil {
		return err
	}
	if f.seq != "" && len(clouds) > 1 {
		return exit.Usage("--seq: each cloud has its own sequences; add --cloud, one of %s", strings.Join(clouds, ", "))
	}
	left := f.filter.Limit
	for _, cloud := range clouds {
		filter := f.filter
		filter.Cloud, filter.Limit, filter.Progress = cloud, left, watched
		if last, ok := f.last[cloud]; ok {
			filter.Last = last
		} else if f.last != nil {
			continue
		}
		beginSearch(watched, cloud)
		err := deadletter.List(ctx, client, p, filter, func(l deadletter.Entry) error {
			left--
			return do(l)
		})
		if err != nil || f.filter.Limit > 0 && left <= 0 {
			return f.ExplainNoStream(ctx, client, cloud, err)
		}
	}
	return nil
}

// beginSearch starts the progress for the dead letters of a cloud. The total is set later.
func beginSearch(watched *progress.Task, cloud string) {
	watched.Begin("search the dead letters of "+cloud, "dead letter", 0)
}

// find finds the dead letter with this name.
func find(ctx context.Context, f *connect.Flags, client *client.Client, n deadName, watched *progress.Task) (deadletter.Entry, error) {
	p := events.Prefix(f.Prefix)
	if n.id == "" {
		cloud, err := cloudOf(ctx, f, client, n)
		if err != nil {
			return deadletter.Entry{}, err
		}
		l, err := deadletter.Get(ctx, client, p, cloud, n.sequence)
		return l, f.ExplainNoStream(ctx, client, cloud, err)
	}
	clouds, err := f.Clouds(ctx, client)
	if err != nil {
		return deadletter.Entry{}, err
	}
	var found []deadletter.Entry
	for _, cloud := range clouds {
		beginSearch(watched, cloud)
		err := deadletter.List(ctx, client, p, deadletter.Filter{Cloud: cloud, ID: n.id, Progress: watched}, func(l deadletter.Entry) error {
			found = append(found, l)
			return nil
		})
		if err != nil {
			return deadletter.Entry{}, f.ExplainNoStream(ctx, client, cloud, err)
		}
	}
	switch len(found) {
	case 0:
		return deadletter.Entry{}, fmt.Errorf("%q: %w: no command of %s with this id is one", n.id, deadletter.ErrNotFound, strings.Join(clouds, ", "))
	case 1:
		return found[0], nil
	}
	names := make([]string, len(found))
	for i, l := range found {
		names[i] = l.Name()
	}
	return deadletter.Entry{}, exit.Usage("%q is the id of several dead letters: %s; name the one that you mean", n.id, strings.Join(names, ", "))
}

// cloudOf is the cloud of a dead letter: the one in its name, the one in the flag, or the only one.
func cloudOf(ctx context.Context, f *connect.Flags, client *client.Client, n deadName) (string, error) {
	switch {
	case n.cloud != "" && f.Cloud != "" && n.cloud != f.Cloud:
		return "", exit.Usage("%s/%d is not in the cloud in --cloud, %s", n.cloud, n.sequence, f.Cloud)
	case n.cloud != "":
		return n.cloud, nil
	case f.Cloud != "":
		return f.Cloud, nil
	}
	clouds, err := f.Clouds(ctx, client)
	if err != nil {
		return "", err
	}
	if len(clouds) > 1 {
		return "", exit.Usage("%d: the cloud is missing; write %s/%d, or add --cloud; clouds are %s", n.sequence, clouds[0], n.sequence, strings.Join(clouds, ", "))
	}
	return clouds[0], nil
}

// parseNames reads the arguments of a command that changes something. The user has to name or select dead letters.
func (f *deadFlags) parseNames(args []string) ([]deadName, error) {
	var named []deadName
	for _, a := range args {
		n, err := readDeadName(a)
		if err != nil {
			return nil, err
		}
		named = append(named, n)
	}
	switch {
	case len(named) == 0 && !f.chosen() && f.Cloud == "":
		return nil, exit.Usage("which dead letters? Give their names, such as acme/17, or filters such as --code refused --since 24h")
	case len(named) > 0 && f.chosen():
		return nil, exit.Usage("give names or filters, not both")
	}
	return named, f.read(time.Now())
}

// count counts the named or selected dead letters. Afterwards the flags select only these, so that the command does not touch dead
// letters that arrive later.
func (f *deadFlags) count(ctx context.Context, client *client.Client, named []deadName, watched *progress.Task) (int, error) {
	n, last := 0, map[string]uint64{}
	err := f.each(ctx, client, named, watched, func(l deadletter.Entry) error {
		n++
		last[l.Cloud] = max(last[l.Cloud], l.Sequence)
		return nil
	})
	f.last = last
	return n, err
}
