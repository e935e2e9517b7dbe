package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

type getFlags struct {
	flags
	meta bool
}

// getTimeout bounds how long the broker may take.
const getTimeout = 10 * time.Second

// NewGet makes the command get.
func NewGet() *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get RESOURCE ID",
		Short: "Print an object of factro from the mirror",
		Long: `Print an object of factro as the mirror has it. A bridge with the role mirror has to serve the cloud; factro is not called.
RESOURCE is its kind, such as task.

--json prints the object byte for byte, as the Core API sent it. --meta prints when and why it was read instead, and with --json
all of that in one object. An object that is gone, or that the mirror has never seen, is an error and exits with 3.`,
		Example: `  bridge get task 0f5ac7e0-0000-4000-8000-000000000080
  bridge get task 0f5ac7e0-0000-4000-8000-000000000080 --meta
  bridge get project 0f5ac7e0-0000-4000-8000-000000000010 --cloud acme --json | jq .title`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeObjects(&f.flags),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.get(cmd.Context(), cmd.OutOrStdout(), args[0], args[1])
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.meta, "meta", false, "print what is known of the object's state instead of the object")
	return cmd
}

func (f *getFlags) get(ctx context.Context, out io.Writer, resource, id string) error {
	if err := checkResource(resource); err != nil {
		return err
	}
	broker, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer broker.Close()
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	s, err := change.Get(ctx, broker.JetStream(), f.Cloud, resource, id, f.option())
	switch {
	case errors.Is(err, change.ErrNotFound):
		if s.Gone && f.meta {
			return errors.Join(f.printMeta(out, s), exit.Silent(exit.Rejected))
		}
		return exit.With(exit.Rejected, exit.Reword(f.absent(resource, id, s), err))
	case err != nil:
		return f.explain(ctx, broker, err)
	case f.meta:
		return f.printMeta(out, s)
	}
	return f.print(out, s)
}

// absent says why there is no object.
func (f *getFlags) absent(resource, id string, s change.State) string {
	switch {
	case s.Gone && s.Status == 403:
		return fmt.Sprintf("the API key may not read the %s %q of %s: factro answered 403 at %s", resource, id, f.Cloud, timetext.Stamp(s.ReadAt))
	case s.Gone:
		return fmt.Sprintf("the %s %q of %s is gone: factro answered %d at %s", resource, id, f.Cloud, s.Status, timetext.Stamp(s.ReadAt))
	}
	return fmt.Sprintf("the mirror of %s has no %s %q; \"bridge mirror status\" shows whether its first copy is complete", f.Cloud, resource, id)
}

func (f *getFlags) print(out io.Writer, s change.State) error {
	text := bytes.NewBuffer(nil)
	if f.asJSON || json.Indent(text, s.Data, "", "  ") != nil {
		text = bytes.NewBuffer(s.Data)
	}
	_, err := fmt.Fprintln(out, text.String())
	return err
}

// state is a state for programs.
type state struct {
	// What happened, of a watch: present, new, changed or gone.
	What     string `json:"what,omitempty"`
	Cloud    string `json:"cloud"`
	Resource string `json:"resource"`
	ID       string `json:"id"`
	Revision uint64 `json:"revision"`
	// ReadAt is when factro was asked.
	ReadAt time.Time       `json:"readAt"`
	Origin string          `json:"origin,omitempty"`
	Causes []string        `json:"causes,omitempty"`
	Change uint64          `json:"change,omitempty"`
	Gone   bool            `json:"gone,omitempty"`
	Status int             `json:"status,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`
}

func stateOf(s change.State, what string) state {
	return state{what, s.Cloud, s.Resource, s.ID, s.Revision, s.ReadAt, s.Origin, s.Causes, s.Change, s.Gone, s.Status, s.Data}
}

func (f *getFlags) printMeta(out io.Writer, s change.State) error {
	if f.asJSON {
		return encode(out, stateOf(s, ""))
	}
	lines := [][2]string{
		{"title", titleOf(fieldsOf(s.Data))},
		{"read at", timetext.Stamp(s.ReadAt)},
		{"origin", s.Origin},
		{"events", strings.Join(s.Causes, " ")},
		{"revision", fmt.Sprint(s.Revision)},
	}
	if s.Change > 0 {
		lines = append(lines, [2]string{"change", fmt.Sprint(s.Change)})
	}
	if s.Gone {
		lines = append(lines, [2]string{"gone", fmt.Sprintf("factro answered %d", s.Status)})
	}
	if _, err := fmt.Fprintf(out, "%s %s of %s\n", s.Resource, s.ID, s.Cloud); err != nil {
		return err
	}
	for _, line := range lines {
		if line[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "  %-9s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

// encode prints a line of JSON, with the bytes of objects as they are.
func encode(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
