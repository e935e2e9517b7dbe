package dead

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

func newDeadList() *cobra.Command {
	var f deadFlags
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, one per line",
		Long: `List the newest 20 dead letters, or more with --all or --limit, cloud by cloud, the oldest first. A line has the name, time,
operation, code, factro's status, the command's id and the reason. --json prints all dead letters, one JSON object per line.
Dead letters that their stream refuses are missing here: bridge dead parked lists them.`,
		Example: `  bridge dead list --since 24h
  bridge dead list --cloud acme --code refused --operation createTask
  bridge dead list --id order-4711
  bridge dead list --kind webhook --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(time.Now()); err != nil {
				return err
			}
			client, err := f.Dial()
			if err != nil {
				return err
			}
			defer client.Close()
			watched := f.Start(cmd)
			defer watched.Stop()
			out := watched.Beside(cmd.OutOrStdout())
			switch {
			case asJSON:
				return f.each(cmd.Context(), client, nil, watched, func(l deadletter.Entry) error { return printDeadJSON(out, l, false) })
			case all || f.filter.Limit > 0:
				_, err = f.print(cmd.Context(), out, client, nil, watched)
				return err
			}
			return f.printNewest(cmd.Context(), out, client, watched)
		},
	}
	f.add(cmd)
	output.AllFlag(cmd, &all)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// print prints the named or selected dead letters under a header, or says that there are none. It returns their number.
func (f *deadFlags) print(ctx context.Context, out io.Writer, client *client.Client, named []deadName, watched *progress.Task) (n int, err error) {
	err = f.each(ctx, client, named, watched, func(l deadletter.Entry) error {
		if n++; n == 1 {
			if err := printHeader(out); err != nil {
				return err
			}
		}
		return printLine(out, l)
	})
	if err == nil && n == 0 {
		err = f.printNone(out)
	}
	return n, err
}

// printNewest prints the newest of the selected dead letters, and says how many others there are.
func (f *deadFlags) printNewest(ctx context.Context, out io.Writer, client *client.Client, watched *progress.Task) error {
	died := func(l deadletter.Entry) time.Time { return l.Died }
	var found []deadletter.Entry
	n := 0
	err := f.each(ctx, client, nil, watched, func(l deadletter.Entry) error {
		n++
		l.Message = journal.Message{} // its data may be large
		if found = append(found, l); len(found) >= 2*output.MaxRows {
			found = output.Newest(found, output.MaxRows, died)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		return f.printNone(out)
	}
	if err := printHeader(out); err != nil {
		return err
	}
	found = output.Newest(found, output.MaxRows, died)
	for _, l := range found {
		if err := printLine(out, l); err != nil {
			return err
		}
	}
	return output.PrintMore(out, n-len(found), "older")
}

// printNone says that there are no dead letters, or that none matches.
func (f *deadFlags) printNone(out io.Writer) error {
	text := "there are no dead letters"
	if f.chosen() || f.Cloud != "" {
		text = "no dead letter matches"
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// columns is the line of a dead letter. The widths are fixed, since lines are printed before all are known.
const columns = "%-12s  %-25s  %-24s  %-17s  %-6s  %-36s  %s\n"

func printHeader(out io.Writer) error {
	_, err := fmt.Fprintf(out, columns, "NAME", "TIME", "OPERATION", "CODE", "STATUS", "ID", "REASON")
	return err
}

// printLine prints a dead letter on one line.
func printLine(out io.Writer, l deadletter.Entry) error {
	const most = 80
	status := "-"
	if l.Status != 0 {
		status = strconv.Itoa(l.Status)
	}
	_, err := fmt.Fprintf(out, columns, l.Name(), timetext.Stamp(l.Died),
		output.OneLine([]byte(operationText(l))), output.OneLine([]byte(l.Code)), status, orDash(output.OneLine([]byte(l.ID))), shortened(output.OneLine([]byte(l.Reason)), most))
	return err
}

// operationText is the operation of a dead letter for people.
func operationText(l deadletter.Entry) string {
	if l.Kind == deadletter.Webhook {
		return "(webhook)"
	}
	return orDash(l.Operation)
}

func orDash(s string) string {
	if s == "" || s == "_" {
		return "-"
	}
	return s
}

func shortened(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// deadJSON is a dead letter for machines.
type deadJSON struct {
	Name       string              `json:"name"` // cloud/seq
	Sequence   uint64              `json:"seq"`
	Died       time.Time           `json:"time"`
	Kind       string              `json:"kind"`
	Cloud      string              `json:"cloud"`
	Resource   string              `json:"resource,omitempty"`
	Operation  string              `json:"operation,omitempty"`
	Code       string              `json:"code"`
	Status     int                 `json:"status,omitempty"`
	ID         string              `json:"id,omitempty"`
	Reason     string              `json:"reason"`
	Subject    string              `json:"subject,omitempty"` // the original's
	Position   string              `json:"position,omitempty"`
	Deliveries int                 `json:"deliveries,omitempty"`
	Size       int                 `json:"size,omitempty"`     // the original's, if only its beginning was kept
	Original   string              `json:"original,omitempty"` // the object that holds the original, if the dead letter holds only a part of it
	Attempts   []ledger.Attempt    `json:"attempts,omitempty"`
	Trace      string              `json:"trace,omitempty"`
	Sender     string              `json:"senderTrace,omitempty"`
	Check      string              `json:"check,omitempty"`
	Headers    map[string][]string `json:"headers,omitempty"`
	Request    map[string][]string `json:"request,omitempty"` // the headers that a webhook came with
	Data       json.RawMessage     `json:"data,omitempty"`    // if it is JSON
	Bytes      []byte              `json:"bytes,omitempty"`   // else, in base64
}

// printDeadJSON prints a dead letter as JSON on one line, with headers and data if all is set.
func printDeadJSON(out io.Writer, l deadletter.Entry, all bool) error {
	j := deadJSON{
		Name: l.Name(), Sequence: l.Sequence, Died: l.Died.UTC(), Kind: l.Kind, Cloud: l.Cloud, Resource: l.Resource, Operation: l.Operation, Code: l.Code,
		Status: l.Status, ID: l.ID, Reason: l.Reason, Subject: l.Original, Position: l.Position, Deliveries: l.Deliveries, Size: l.Size, Original: l.Kept,
		Attempts: l.Attempts, Trace: traceOf(l.Parent), Sender: l.TraceID(),
	}
	if all {
		j.Check, j.Headers, j.Request = check(l), shownHeaders(l), l.Request
		data, err := shownData(l)
		if err != nil {
			return err
		}
		if json.Valid(data) {
			j.Data = data
		} else {
			j.Bytes = data
		}
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, escapeControls(text))
	return err
}

// escapeControls escapes the control characters that JSON allows in strings but that can move a cursor.
func escapeControls(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		if r >= 0x7f && r < 0xa0 {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// traceOf is the trace id of a traceparent, or "".
func traceOf(parent string) string {
	if parts := strings.Split(parent, "-"); len(parts) == 4 {
		return parts[1]
	}
	return ""
}
