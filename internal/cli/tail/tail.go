package tail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

type tailFlags struct {
	connect.Flags
	selection
	since, color     string
	asJSON, noTitles bool
}

// New makes the command tail.
func New() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail [" + strings.Join(kindNames(), "|") + "]...",
		Short: "Print events, results, dead letters or changes as they arrive",
		Long: `Print what arrives in the streams of one cloud, or of all clouds that exist at the start, until interrupted. Without an
argument it prints all kinds of messages; changes need a bridge with the role mirror. It does not affect other readers.
Finding the clouds needs the right to list streams; --cloud, or a --filter that names a cloud, needs only the rights for
that cloud.

--resource, --action, --entity and --grep select messages. The action of an event is factro's, such as TaskStateChanged;
that of a result or a dead letter is the operation; that of a change is created, updated or deleted. The object of a
result is known if factro named it; that of a dead letter if its command changes an object. --grep is a regular
expression on the subject, the id, the data, the title and the reason of a dead letter.

The title of the object follows the subject if the mirror has it and the user may read it. Messages of several streams
come in the order of their times, except for what arrives at the same moment.

--json prints one JSON object per line: subject, time, trace id and title, with the event in the JSON form of
CloudEvents.`,
		Example: `  bridge tail
  bridge tail events --since 1h --resource task --action TaskStateChanged
  bridge tail --entity 0f5ac7e0-0000-4000-8000-000000000080 --since 7d
  bridge tail results dead --cloud acme --grep '(?i)timeout' --json`,
		ValidArgs: kindNames(),
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args)
		},
	}
	f.Add(cmd)
	f.OnlyCloudFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "start at this `time`: 2h (ago), 7d, 2026-03-01, or 2026-03-01T12:00:00Z; without it, at the next message")
	flags.StringVar(&f.filter, "filter", "", "only this `subject`, wildcards allowed")
	flags.StringVar(&f.resource, "resource", "", "only this kind of object, such as task")
	flags.StringVar(&f.action, "action", "", "only this action or operation, such as TaskCreated or createTask")
	flags.StringVar(&f.entity, "entity", "", "only the object with this `id`")
	flags.StringVar(&f.text, "grep", "", "only what matches this `regexp`")
	flags.StringVar(&f.color, "color", "auto", "`when` to use colors: auto, always or never")
	flags.BoolVar(&f.noTitles, "no-titles", false, "do not look up titles in the mirror")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("resource", cobra.FixedCompletions(resources(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// resources are all kinds of objects.
func resources() (all []string) {
	for _, op := range factro.Operations() {
		all = append(all, op.Resource)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (f *tailFlags) run(cmd *cobra.Command, names []string) error {
	from, err := timetext.Moment(f.since, time.Now())
	if err != nil {
		return exit.Usage("--since: %w", err)
	}
	if err := f.check(); err != nil {
		return err
	}
	out, err := output.NewMessagePrinter(cmd.OutOrStdout(), f.color)
	if err != nil {
		return err
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
	known := newTitles(func(ctx context.Context, o object) (change.State, error) {
		return change.Get(ctx, client.JetStream(), o.cloud, o.resource, o.id, change.WithPrefix(events.Prefix(f.Prefix)))
	})
	show := func(m journal.Message) {
		o := about(f.Prefix, m)
		if !f.isWanted(o) {
			return
		}
		title := ""
		if !f.noTitles {
			title = known.of(cmd.Context(), o)
		}
		switch {
		case !f.matches(m, title):
		case f.asJSON:
			output.PrintTitledJSON(cmd.OutOrStdout(), m, title)
		default:
			out.Print(m, title)
		}
	}
	all, err := f.sources(cmd.Context(), client, names, from)
	if err != nil {
		return err
	}
	if !from.IsZero() && len(all) > 1 {
		history(cmd.Context(), client, all, show)
	}
	return f.follow(cmd.Context(), client, all, show)
}

// clouds are those to follow: the one that the filter names, or the chosen ones.
func (f *tailFlags) clouds(ctx context.Context, client *client.Client, names []string) ([]string, error) {
	if len(names) == 1 && f.Cloud == "" {
		k := kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == names[0] })]
		if tokens := strings.Split(f.filter, "."); len(tokens) > k.cloudAt && events.Token(tokens[k.cloudAt]) == tokens[k.cloudAt] {
			return []string{tokens[k.cloudAt]}, nil
		}
	}
	return f.Clouds(ctx, client)
}
