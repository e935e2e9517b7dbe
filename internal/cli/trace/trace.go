package trace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/timeline"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// flags are those of the command.
type flags struct {
	connect.Flags
	kind, source, since string
	most                uint64
	limit               int
	asJSON, follow      bool
}

// New returns the command.
func New() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Show what happened to an event, a command or an object",
		Long: `Show what happened to an event, a command or an object of factro, step by step, as the streams record it: a webhook was received and
stored, a command waited, factro was called, the result, what changed, a dead letter. The ID is that of an event, a command or an
object, the 32 digits of a trace, or an external key. It changes nothing.

NATS finds an object by its id, whatever else is in the streams. Results, and events by their own id or by a trace, are read from
now back to --since, by default 24 hours. An id with a time in it (a UUID of version 7) needs no --since. The last lines say what
was read, and how far back.

What the user may not read is named on standard error, and the exit code is 1. It is 3 if nothing was found.`,
		Example: `  bridge trace 0f5ac7e0-0000-4000-8000-000000000080
  bridge trace order-4711 --kind command --source urn:example:billing --since 7d
  bridge trace 4bf92f3577b34da6a3ce929d0e0e4736 --json
  bridge trace 0f5ac7e0-0000-4000-8000-000000000080 --follow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.question(args[0], time.Now())
			if err != nil {
				return err
			}
			client, err := f.Dial()
			if err != nil {
				return err
			}
			defer client.Close()
			client.CollectRefusals()
			if err := f.RequireStreams(cmd.Context(), client); err != nil {
				return err
			}
			clouds, err := f.Clouds(cmd.Context(), client)
			if err != nil {
				return err
			}
			finder := timeline.New(history.On(client), events.Prefix(f.Prefix), time.Now)
			if f.follow {
				return f.watch(cmd, finder, clouds, q)
			}
			return f.show(cmd.Context(), cmd.OutOrStdout(), finder, clouds, q)
		},
	}
	f.Add(cmd)
	f.OnlyCloudFlag(cmd)
	cmd.Flags().StringVar(&f.kind, "kind", "", "what `kind` of thing the ID is: "+strings.Join(timeline.Kinds(), ", ")+"; without it, all are tried")
	cmd.Flags().StringVar(&f.source, "source", "", "the source `URI` of the command with the ID")
	cmd.Flags().StringVar(&f.since, "since", "", "read back to this `time`: 2h (ago), 7d, 2026-03-01, or 2026-03-01T12:00:00Z")
	cmd.Flags().Uint64Var(&f.most, "most", timeline.DefaultMost, "read at most so many `messages` of a stream")
	cmd.Flags().IntVar(&f.limit, "limit", 200, "show at most so many steps, the newest; 0 for all")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what comes, until interrupted; with --json as one line for each step")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(timeline.Kinds(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// question reads the flags.
func (f *flags) question(id string, now time.Time) (timeline.Question, error) {
	since, err := timetext.Moment(f.since, now)
	switch {
	case err != nil:
		return timeline.Question{}, exit.Usage("--since: %w", err)
	case strings.TrimSpace(id) == "":
		return timeline.Question{}, exit.Usage("the ID is empty")
	case f.kind != "" && !slices.Contains(timeline.Kinds(), f.kind):
		return timeline.Question{}, exit.Usage("--kind: %q is none of %s", f.kind, strings.Join(timeline.Kinds(), ", "))
	case f.limit < 0:
		return timeline.Question{}, exit.Usage("--limit: %d is negative", f.limit)
	case f.most == 0:
		return timeline.Question{}, exit.Usage("--most: 0 messages are too few")
	}
	return timeline.Question{
		ID: id, Kind: f.kind, Source: f.source, Since: since, Most: f.most, Limit: f.limit, Sources: []string{"", client.Source},
	}, nil
}

// show prints what is there.
func (f *flags) show(ctx context.Context, out io.Writer, finder *timeline.Finder, clouds []string, q timeline.Question) error {
	began := time.Now()
	all := &timeline.Timeline{}
	for _, cloud := range clouds {
		all.Join(finder.Find(ctx, cloud, q), q.Limit)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	if f.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(document{all, all.Cut(), time.Since(began).Milliseconds()})
	} else {
		err = (&printer{out: out, manyClouds: len(clouds) > 1}).timeline(all, q, time.Since(began))
	}
	if err != nil {
		return fmt.Errorf("print the timeline: %w", err)
	}
	return verdict(all)
}

// document is what --json prints.
type document struct {
	*timeline.Timeline
	Cut    bool  `json:"cut"`
	Millis int64 `json:"ms"`
}

// verdict is the exit code of what was found.
func verdict(t *timeline.Timeline) error {
	errs := t.Errors()
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	errs = slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })
	switch {
	case len(errs) > 0:
		return errors.Join(errs...)
	case len(t.Entries) == 0:
		return exit.Silent(exit.Rejected)
	}
	return nil
}

// watch prints what is there and what comes, until it is interrupted.
func (f *flags) watch(cmd *cobra.Command, finder *timeline.Finder, clouds []string, q timeline.Question) error {
	out, problems := cmd.OutOrStdout(), cmd.ErrOrStderr()
	var printing sync.Mutex
	p := &printer{out: out, manyClouds: len(clouds) > 1}
	lines := json.NewEncoder(out)
	entry := func(e timeline.Entry) {
		if f.asJSON {
			_ = lines.Encode(e) // a closed pipe ends the program anyway
			return
		}
		p.entry(e)
	}
	var all sync.WaitGroup
	for _, cloud := range clouds {
		all.Go(func() {
			finder.Follow(cmd.Context(), cloud, q, func(t *timeline.Timeline) {
				printing.Lock()
				defer printing.Unlock()
				for _, e := range t.Entries {
					entry(e)
				}
				for _, err := range t.Errors() {
					fmt.Fprintln(problems, "bridge:", err)
				}
				if !f.asJSON && len(t.Entries) == 0 {
					fmt.Fprintf(problems, "bridge: nothing is there of %s in %s yet\n", q.ID, cloud)
				}
			}, func(e timeline.Entry) {
				printing.Lock()
				defer printing.Unlock()
				entry(e)
			})
		})
	}
	all.Wait()
	return nil
}
