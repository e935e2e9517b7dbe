package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// tailStream is a kind of stream that can be followed.
type tailStream struct {
	name    string
	stream  func(events.Prefix, string) string
	cloudAt int      // where the cloud stands in its subjects
	forms   []string // of the filters for a cloud
}

var tailStreams = []tailStream{
	{"events", events.Prefix.EventStream, 2, []string{"event.%s.>"}},
	{"results", events.Prefix.ResultStream, 2, []string{"result.%s.>"}},
	{"dead", events.Prefix.DeadStream, 3, []string{"dead.command.%s.>", "dead.webhook.%s"}},
}

func newTail() *cobra.Command {
	var f connect.Flags
	var since, filter string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail events|results|dead",
		Short: "Print events, results or dead letters as they arrive",
		Long: `Print what arrives in the streams of one cloud, or of all clouds that exist at the start, until interrupted. It does not
affect other readers. Finding the clouds needs the right to list streams; --cloud, or a --filter that names a cloud, needs only
the rights for that cloud.

--json prints one JSON object per line: subject, time and trace id, with the event in the JSON form of CloudEvents.`,
		Example: `  bridge tail events
  bridge tail events --since 1h --filter 'factro.event.acme.task.*.TaskStateChanged'
  bridge tail results --cloud acme --json`,
		ValidArgs: []string{"events", "results", "dead"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := timetext.Moment(since, time.Now())
			if err != nil {
				return exit.Usage("--since: %w", err)
			}
			client, err := f.Dial()
			if err != nil {
				return err
			}
			defer client.Close()
			go client.Outages(cmd.Context(), func(up bool) {
				if up {
					fmt.Fprintln(cmd.ErrOrStderr(), "bridge: connected to NATS again; missed messages follow")
				} else {
					fmt.Fprintln(cmd.ErrOrStderr(), "bridge: the connection to NATS is lost; reconnecting")
				}
			})
			return follow(cmd.Context(), &f, client, args[0], filter, from, func(m journal.Message) {
				if asJSON {
					output.PrintJSON(cmd.OutOrStdout(), m)
				} else {
					output.PrintMessage(cmd.OutOrStdout(), m)
				}
			})
		},
	}
	f.Add(cmd)
	f.OnlyCloudFlag(cmd)
	cmd.Flags().StringVar(&since, "since", "", "start at this `time`: 2h (ago), 7d, 2026-03-01, or 2026-03-01T12:00:00Z; without it, at the next message")
	cmd.Flags().StringVar(&filter, "filter", "", "only this `subject`, wildcards allowed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// follow follows one kind of stream of each chosen cloud.
func follow(ctx context.Context, f *connect.Flags, client *client.Client, kind, filter string, since time.Time, each func(journal.Message)) error {
	p := events.Prefix(f.Prefix)
	t := tailStreams[slices.IndexFunc(tailStreams, func(t tailStream) bool { return t.name == kind })]
	var clouds []string
	if named := strings.Split(filter, "."); f.Cloud == "" && len(named) > t.cloudAt && events.Token(named[t.cloudAt]) == named[t.cloudAt] {
		clouds = []string{named[t.cloudAt]} // the filter names it
	}
	if clouds == nil {
		var err error
		if clouds, err = f.Clouds(ctx, client); err != nil {
			return err
		}
	}
	var printing sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, cloud := range clouds {
		filters := []string{filter}
		if filter == "" {
			filters = nil
			for _, form := range t.forms {
				filters = append(filters, f.Prefix+"."+fmt.Sprintf(form, cloud))
			}
		}
		group.Go(func() error {
			err := journal.Tail(ctx, client.JetStream(), t.stream(p, cloud), filters, since, func(m journal.Message) {
				printing.Lock()
				defer printing.Unlock()
				each(m)
			})
			return f.ExplainNoStream(ctx, client, cloud, err)
		})
	}
	return group.Wait()
}
