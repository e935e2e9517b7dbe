package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

type watchFlags struct {
	flags
	where   []string
	changes bool
}

// NewWatch makes the command watch.
func NewWatch() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch RESOURCE",
		Short: "Print the objects of a kind from the mirror, and then what changes",
		Long: `Print all objects of a kind that the mirror has, one line each, and then a line for each object that changes, until interrupted.
RESOURCE is the kind, such as task. A bridge with the role mirror has to serve the cloud; factro is not called.

  present  the object is there at the start
  new      it was not shown before
  changed  it has changed
  gone     it was deleted, or does not meet --where any more

Of several quick changes only the last may come. --changes prints each change instead, from now on: created, updated or deleted, the
fields that differ, and the command that made it if that is known. A condition of --where then means that the field has got that value.

--where compares a field with a text: field=value, also of numbers and true or false. A field without a value is empty. All conditions
have to be met.`,
		Example: `  bridge watch task
  bridge watch task --where taskState=review --where isMilestone=true
  bridge watch project --changes --cloud acme
  bridge watch task --json | jq -r 'select(.what=="new") | .object.title'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeResources,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.watch(cmd.Context(), cmd, args[0]) },
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&f.where, "where", nil, "only objects with this `field=value`; can be repeated")
	_ = cmd.RegisterFlagCompletionFunc("where", completeConditions)
	cmd.Flags().BoolVar(&f.changes, "changes", false, "print each change with its fields, instead of the objects")
	return cmd
}

func (f *watchFlags) watch(ctx context.Context, cmd *cobra.Command, resource string) error {
	if err := checkResource(resource); err != nil {
		return err
	}
	conditions, err := conditionsOf(f.where)
	if err != nil {
		return err
	}
	for _, field := range unknownFields(resource, conditions) {
		fmt.Fprintf(cmd.ErrOrStderr(), "bridge: no field of a %s is known as %s\n", resource, field)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broker, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer broker.Close()
	go broker.Outages(ctx, func(up bool) {
		if up {
			fmt.Fprintln(cmd.ErrOrStderr(), "bridge: connected to NATS again; what was missed follows")
		} else {
			fmt.Fprintln(cmd.ErrOrStderr(), "bridge: the connection to NATS is lost; reconnecting")
		}
	})
	if f.changes {
		err = f.printChanges(ctx, cmd.OutOrStdout(), broker, resource, conditions)
	} else {
		err = f.printStates(ctx, cmd, broker, resource, conditions)
	}
	return f.explain(ctx, broker, err)
}

// shown is what a watch has printed.
type shown struct {
	conditions []condition
	ids        map[string]bool
	current    bool
}

// what says what a state is for a reader of the lines so far, or "" if it is nothing.
func (v *shown) what(s change.State, fields map[string]json.RawMessage) string {
	was, is := v.ids[s.ID], !s.Gone && meets(v.conditions, fields)
	switch {
	case !is && !was:
		return ""
	case !is:
		delete(v.ids, s.ID)
		return "gone"
	case was:
		return "changed"
	}
	v.ids[s.ID] = true
	if v.current {
		return "new"
	}
	return "present"
}

func (f *watchFlags) printStates(ctx context.Context, cmd *cobra.Command, broker *client.Client, resource string, conditions []condition) error {
	seen := shown{conditions: conditions, ids: map[string]bool{}}
	titles := map[string]string{} // of what is shown: an object that is gone has none any more
	return change.Watch(ctx, broker.JetStream(), f.Cloud, resource, func(_ context.Context, s change.State) error {
		fields := fieldsOf(s.Data)
		what := seen.what(s, fields)
		if what == "" {
			return nil
		}
		title := titleOf(fields)
		if s.Gone {
			title = titles[s.ID]
		}
		titles[s.ID] = title
		if what == "gone" {
			delete(titles, s.ID)
		}
		if f.asJSON {
			return encode(cmd.OutOrStdout(), stateOf(s, what))
		}
		return printLine(cmd.OutOrStdout(), timetext.Stamp(s.ReadAt), what, s.ID, title)
	}, f.option(), change.WithLog(slog.New(slog.DiscardHandler)), change.OnCurrent(func() {
		seen.current = true
		fmt.Fprintf(cmd.ErrOrStderr(), "bridge: %s; what changes follows\n", plural.Of(len(seen.ids), "object"))
	}))
}

// printLine prints one object on one line.
func printLine(out io.Writer, at, what, id, title string) error {
	_, err := fmt.Fprintf(out, "%s  %-7s  %-36s  %s\n", at, what, id, title)
	return err
}
