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

// tail is a kind of stream that can be watched.
type tail struct {
	name   string
	stream func(events.Prefix, string) string
	at     int      // where the cloud stands in its subjects
	forms  []string // of the filters for a cloud
}

var tails = []tail{
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
		Short: "Print events, results or dead letters as they come",
		Long: `Print what comes into the streams of all clouds that there are at the beginning, or into that of one cloud, until
interrupted. It takes nothing from other readers. To find the clouds needs the right to list
streams; --cloud, or a --filter that names a cloud, needs only the cloud's.

--json prints one JSON object a line: subject, time and trace id, with the event in the JSON form of CloudEvents.`,
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
					fmt.Fprintln(cmd.ErrOrStderr(), "bridge: connected to NATS again; what came meanwhile follows")
				} else {
					fmt.Fprintln(cmd.ErrOrStderr(), "bridge: the connection to NATS is lost; trying again")
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
	cmd.Flags().StringVar(&since, "since", "", "begin at this `time`: 2h (ago), 7d, 2026-03-01, or 2026-03-01T12:00:00Z; without it, with the next one")
	cmd.Flags().StringVar(&filter, "filter", "", "only this `subject`, wildcards allowed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// follow follows one kind of stream, of each cloud that is meant.
func follow(ctx context.Context, f *connect.Flags, client *client.Client, kind, filter string, since time.Time, each func(journal.Message)) error {
	p := events.Prefix(f.Prefix)
	t := tails[slices.IndexFunc(tails, func(t tail) bool { return t.name == kind })]
	var clouds []string
	if named := strings.Split(filter, "."); f.Cloud == "" && len(named) > t.at && events.Token(named[t.at]) == named[t.at] {
		clouds = []string{named[t.at]} // the filter says it
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
			return f.NoStream(ctx, client, cloud, err)
		})
	}
	return group.Wait()
}
