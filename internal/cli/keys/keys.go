package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	store "github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/cli/suggest"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// New makes the command keys.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Show, set, forget and import external keys",
		Long: `Show, set, forget and import external keys. An external key is the sender's own key of an object at factro, such as JIRA-17. The
bridge keeps the keys that creates give their objects in the attribute externalkey. Commands and queries can name the object by the
key: {"taskId": {"externalkey": "JIRA-17"}}.

A key belongs to a cloud and a resource, such as task. Each key has one object, and each object one key.`,
		Example: "  bridge keys list --resource task\n  bridge keys set JIRA-17 0f5ac7e0-0000-4000-8000-000000000080 --resource task\n  bridge keys import tasks.csv --resource task --dry-run",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newList(), newSet(), newForget(), newImport())
	return cmd
}

// keyFlags are the flags of all commands here.
type keyFlags struct {
	connect.Flags
	output.ProgressFlag
	resource string
	asJSON   bool
}

func (f *keyFlags) add(cmd *cobra.Command, resource string) {
	f.Flags.Add(cmd)
	f.CloudFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.resource, "resource", "", resource)
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("resource", cobra.FixedCompletions(factro.EntityKinds(), cobra.ShellCompDirectiveNoFileComp))
}

// checkResource says that a text is no resource.
func checkResource(name string) error {
	kinds := factro.EntityKinds()
	if slices.Contains(kinds, name) {
		return nil
	}
	if name == "" {
		return fmt.Errorf("which resource? They are %s", strings.Join(kinds, ", "))
	}
	return fmt.Errorf("%q is no resource%s; they are %s", name, suggest.DidYouMean(name, kinds), strings.Join(kinds, ", "))
}

// open connects and returns the keys of the cloud.
func (f *keyFlags) open(ctx context.Context) (keys *store.Admin, end func(), err error) {
	client, err := f.Dial()
	if err != nil {
		return nil, nil, err
	}
	if err = f.ChooseCloud(ctx, client); err == nil {
		keys, err = store.Of(ctx, client.JetStream(), events.Prefix(f.Prefix), f.Cloud)
	}
	if errors.Is(err, store.ErrNoBucket) {
		if unserved := f.RequireStreams(ctx, client); unserved != nil {
			err = unserved
		} else {
			err = fmt.Errorf("%w; a bridge with nats.manage: true makes it", err)
		}
	}
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	return keys, client.Close, nil
}

// row is an external key for machines.
type row struct {
	Cloud    string    `json:"cloud"`
	Resource string    `json:"resource"`
	Key      string    `json:"externalkey"`
	ID       string    `json:"id,omitempty"`
	Since    time.Time `json:"since"`
	// Command is the id of the command that has reserved the key and has not ended.
	Command string `json:"command,omitempty"`
	// WithoutID says that the object was created, and that factro did not tell its id.
	WithoutID bool `json:"withoutId,omitempty"`
}

func (f *keyFlags) row(e store.Entry) row {
	r := row{Cloud: f.Cloud, Resource: e.Kind, Key: e.Key, ID: e.ID, Since: e.Since, WithoutID: e.Nameless}
	if e.Pending() {
		r.Command = e.Owner.ID
	}
	return r
}

const columns = "%-15s  %-36s  %-25s  %s\n"

// printLine prints a key on one line.
func (r row) printLine(out io.Writer) error {
	id := r.ID
	switch {
	case r.Command != "":
		id = "reserved by " + r.Command
	case r.WithoutID:
		id = "created, id unknown"
	}
	_, err := fmt.Fprintf(out, columns, r.Resource, output.OneLine([]byte(id)), timetext.Stamp(r.Since), output.OneLine([]byte(r.Key)))
	return err
}

func newList() *cobra.Command {
	var f keyFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List external keys",
		Long: `List external keys and the ids of their objects, in the order in which they were set. A key that a command has reserved has no id
yet.`,
		Example: "  bridge keys list --resource task\n  bridge keys list --json | jq -r '[.externalkey, .id] | @csv'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.resource != "" {
				if err := checkResource(f.resource); err != nil {
					return exit.Usage("--resource: %w", err)
				}
			}
			keys, end, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			return f.list(cmd, keys, all)
		},
	}
	f.add(cmd, "only keys of this resource, such as task")
	f.ProgressFlag.Add(cmd)
	output.AllFlag(cmd, &all)
	return cmd
}

func (f *keyFlags) list(cmd *cobra.Command, keys *store.Admin, all bool) error {
	watched := f.Start(cmd)
	defer watched.Stop()
	watched.Begin("read external keys", "key", 0)
	out := watched.Beside(cmd.OutOrStdout())
	n := 0
	err := keys.List(cmd.Context(), f.resource, func(e store.Entry, pending int64) error {
		watched.Left(pending)
		n++
		switch {
		case f.asJSON:
			return json.NewEncoder(out).Encode(f.row(e))
		case n == 1:
			if _, err := fmt.Fprintf(out, columns, "RESOURCE", "ID", "SINCE", "EXTERNAL KEY"); err != nil {
				return err
			}
		case !all && n > output.MaxRows:
			return nil
		}
		return f.row(e).printLine(out)
	})
	switch {
	case err != nil || f.asJSON:
		return err
	case n == 0:
		_, err = fmt.Fprintln(out, "there are no external keys")
		return err
	}
	return output.PrintMore(out, n-output.RowsOf(n, all), "more")
}

func newSet() *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "set KEY ID",
		Short: "Give an object an external key",
		Long: `Give an object at factro an external key. Neither the key nor the object may have another partner: forget that first. Whether factro
has the object is not checked.`,
		Example: "  bridge keys set JIRA-17 0f5ac7e0-0000-4000-8000-000000000080 --resource task",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args[0]); err != nil {
				return err
			}
			if err := checkID(args[1]); err != nil {
				return exit.Usage("ID: %w", err)
			}
			keys, end, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			changed, err := keys.Set(cmd.Context(), f.resource, args[0], args[1])
			if err != nil {
				return err
			}
			return f.report(cmd.OutOrStdout(), args[0], map[bool]string{true: "set", false: "was set already"}[changed], changed)
		},
	}
	f.add(cmd, "resource of the object, such as task")
	return cmd
}

func newForget() *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "forget KEY",
		Short: "Free an external key",
		Long: `Free an external key. The object at factro stays as it is; the next create with the key makes another one. A key that a command has
reserved is freed, too: then that command and the next one may both make an object.`,
		Example: "  bridge keys forget JIRA-17 --resource task",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args[0]); err != nil {
				return err
			}
			keys, end, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			known, err := keys.Forget(cmd.Context(), f.resource, args[0])
			if err != nil {
				return err
			}
			return f.report(cmd.OutOrStdout(), args[0], map[bool]string{true: "free", false: "was not set"}[known], known)
		},
	}
	f.add(cmd, "resource of the key, such as task")
	return cmd
}

// check checks the resource and a key.
func (f *keyFlags) check(key string) error {
	if err := checkResource(f.resource); err != nil {
		return exit.Usage("--resource: %w", err)
	}
	if why := translate.BadKey(key); why != "" {
		return exit.Usage("KEY: %s", why)
	}
	return nil
}

// checkID says that a text can be no id.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("an empty id")
	case len(id) > maxID:
		return fmt.Errorf("an id of %d bytes, want at most %d", len(id), maxID)
	case strings.ContainsAny(id, " \t\r\n/\\?#%"):
		return fmt.Errorf("%q is no id: it has a blank or a slash", id)
	}
	return nil
}

// maxID bounds an id. factro's ids are UUIDs.
const maxID = 256

// report prints what became of one key.
func (f *keyFlags) report(out io.Writer, key, what string, changed bool) error {
	if f.asJSON {
		return json.NewEncoder(out).Encode(struct {
			Cloud    string `json:"cloud"`
			Resource string `json:"resource"`
			Key      string `json:"externalkey"`
			Changed  bool   `json:"changed"`
		}{f.Cloud, f.resource, key, changed})
	}
	_, err := fmt.Fprintf(out, "%s %s %s\n", f.resource, output.OneLine([]byte(key)), what)
	return err
}
