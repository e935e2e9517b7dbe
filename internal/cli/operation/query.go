package operation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/statustext"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
)

type queryFlags struct {
	connect.Flags
	output.ProgressFlag
	out     string
	timeout time.Duration
	pretty  bool
	maxAge  time.Duration
}

// NewQuery makes the command query.
func NewQuery() *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use:   "query OPERATION [field=value | field:=json]...",
		Short: "Read data from factro, and print the answer",
		Long: `Read data from factro through the bridge, and print the unchanged JSON of the Core API. "bridge contract operations" lists
the operations; the ones that read are queries.

field=value takes a value of the field's type, field:=json takes any JSON. query checks the fields against the schema first. If
there are mistakes, it lists all of them, sends nothing, and exits with 2.

With --max-age the mirror of the bridge answers, and not factro, if it has the object, if its copy is at most so old, and if it
has read the object since its last event. query then prints the age on standard error.

An answer that is too large for a message comes through the object store of NATS, without being held in memory.`,
		Example: `  bridge query getUserQuota
  bridge query getTask taskId=0f5ac7e0-0000-4000-8000-000000000080 --pretty
  bridge query getTask taskId=0f5ac7e0-0000-4000-8000-000000000080 --max-age 30s
  bridge query listTasks --out tasks.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exit.Usage("which operation? bridge contract operations lists them")
			}
			return nil
		},
		ValidArgsFunction: completeFields(func(op factro.Operation) bool { return !op.Writes() }),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.query(cmd, args[0], args[1:])
		},
	}
	f.Flags.Add(cmd)
	f.ProgressFlag.Add(cmd)
	f.CloudFlag(cmd)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "write the answer to a `file`")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 30*time.Second), "timeout", "how long to wait for the answer to begin")
	cmd.Flags().Var(timetext.Flag(&f.maxAge, 0), "max-age", "accept an answer of the mirror that is at most so old")
	cmd.Flags().BoolVar(&f.pretty, "pretty", false, "indent the JSON")
	cmd.Flags().Bool("json", false, "also print errors as JSON: {\"status\", \"error\"}")
	return cmd
}

func (f *queryFlags) query(cmd *cobra.Command, name string, args []string) error {
	ctx := cmd.Context()
	op, err := Lookup(name)
	if err != nil {
		return err
	}
	if op.Writes() {
		return exit.Usage("%s writes, so it is a command: bridge send %s", name, name)
	}
	if err := checkData(op, args); err != nil {
		return err
	}
	data, err := commandData(op, args, nil)
	if err != nil {
		return err
	}
	client, err := f.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := f.ChooseCloud(ctx, client); err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(telemetry.NewTrace(ctx))
	defer cancel(nil)
	timer := time.AfterFunc(f.timeout, func() { cancel(errTimeout) })
	watched := f.Start(cmd)
	defer watched.Stop()
	watched.Begin("wait for the answer", "", 0)
	var age *time.Duration
	answer, err := client.Ask(ctx, events.Prefix(f.Prefix), f.Cloud, events.Operation{Name: op.Name, Resource: op.Resource}, data, f.fresh(&age)...)
	timer.Stop() // the timeout is for the beginning of the answer
	if err != nil {
		return f.refused(ctx, client, err)
	}
	defer answer.Close()
	if age != nil {
		fmt.Fprintf(watched.Beside(cmd.ErrOrStderr()), "from the mirror, %.3fs old\n", age.Seconds())
	}
	var total int64
	if sized, ok := answer.(interface{ Size() int64 }); ok {
		total = sized.Size()
	}
	watched.Begin("read the answer", progress.Bytes, total)
	return f.write(watched.Beside(cmd.OutOrStdout()), watched.Reader(answer))
}

// fresh are the options of a query that the mirror may answer, and set the age of such an answer.
func (f *queryFlags) fresh(age **time.Duration) []fresh.Option {
	if f.maxAge == 0 {
		return nil
	}
	return []fresh.Option{fresh.MaxAge(f.maxAge), fresh.OnAge(func(d time.Duration) { *age = &d })}
}

var errTimeout = errors.New("no answer in time")

// refused gives the error of a query its exit code.
func (f *queryFlags) refused(ctx context.Context, client *client.Client, err error) error {
	if e, ok := errors.AsType[*events.Error](err); ok {
		lines := []string{fmt.Sprintf("%s (%d): %s", e.Code, e.Status, e.Message)}
		for _, m := range e.FieldErrors() {
			if m.Message == e.Message { // it is printed already
				continue
			}
			lines = append(lines, "  "+strings.TrimPrefix(m.Pointer+": ", ": ")+m.Message)
		}
		if passes := []string{events.CodePaused, events.CodeUnavailable, events.CodeUnauthorized, events.CodeThrottled}; slices.Contains(passes, e.Code) {
			lines = append(lines, f.blockedReasons(ctx, client)...)
		}
		return exit.With(exit.Rejected, exit.Reword(strings.Join(lines, "\n"), e))
	}
	if errors.Is(context.Cause(ctx), errTimeout) || errors.Is(err, context.DeadlineExceeded) {
		lines := append([]string{fmt.Sprintf("no answer within %s", f.timeout)}, f.blockedReasons(ctx, client)...)
		return exit.With(exit.NoResult, errors.New(strings.Join(lines, "\n")))
	}
	return err
}

// blockedReasons says why the bridge for commands cannot call factro. It is usually the same bridge as for queries. Without a status it
// returns nothing.
func (f *queryFlags) blockedReasons(ctx context.Context, client *client.Client) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	s, err := client.Bridge(events.Prefix(f.Prefix), f.Cloud).Status(ctx, "")
	if err != nil {
		return nil
	}
	lines := statustext.Held(s)
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// write writes the answer to the output or the file. It deletes an incomplete file.
func (f *queryFlags) write(out io.Writer, answer io.Reader) (err error) {
	if f.out != "" {
		file, err := os.Create(f.out)
		if err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		if err := errors.Join(f.print(file, answer), file.Close()); err != nil {
			return fmt.Errorf("write the answer: %w", errors.Join(err, os.Remove(f.out)))
		}
		return nil
	}
	if err := f.print(out, answer); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

func (f *queryFlags) print(out io.Writer, answer io.Reader) error {
	if !f.pretty {
		_, err := io.Copy(out, answer)
		return err
	}
	text, err := io.ReadAll(answer)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, indented.String())
	return err
}
