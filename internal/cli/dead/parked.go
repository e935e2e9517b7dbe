package dead

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func newDeadParked() *cobra.Command {
	var f connect.Flags
	var quiet output.ProgressFlag
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "parked",
		Short: "List the commands whose result or dead letter is refused by its stream",
		Long: `List finished commands whose result or dead letter could not be published because its stream refuses it. They wait in the
object store for originals of their cloud. The bridge publishes them by itself once the stream accepts them. Until then bridge
dead list does not show them.

It lists the newest 20, or all with --all, cloud by cloud, the oldest first. A line has the cloud, time, operation, the outcome if
a result is parked, code, factro's status, the command's id and the reason. --json prints all, one JSON object per line, with
the name of the object and the subjects. The commands themselves need no action: the readiness and the log of the bridge say
which stream refuses, and why.`,
		Example: "  bridge dead parked\n  bridge dead parked --cloud acme --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.Dial()
			if err != nil {
				return err
			}
			defer client.Close()
			clouds, err := f.Clouds(cmd.Context(), client)
			if err != nil {
				return err
			}
			watched := quiet.Start(cmd)
			defer watched.Stop()
			out := watched.Beside(cmd.OutOrStdout())
			watched.Begin("read parked commands", "command", 0)
			var rows []deadletter.Parked
			for _, cloud := range clouds {
				err := deadletter.ListParked(cmd.Context(), client, events.Prefix(f.Prefix), cloud, func(p deadletter.Parked) error {
					watched.Add(1)
					if asJSON {
						return printParkedJSON(out, p)
					}
					rows = append(rows, p)
					return nil
				})
				if err != nil {
					return err
				}
			}
			if err := f.RequireStreams(cmd.Context(), client); err != nil {
				return err
			}
			if asJSON {
				return nil
			}
			return printParked(out, rows, all)
		},
	}
	f.Add(cmd)
	quiet.Add(cmd)
	output.AllFlag(cmd, &all)
	f.OnlyCloudFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// parkedColumns is the line of a parked command.
const parkedColumns = "%-12s  %-25s  %-24s  %-9s  %-17s  %-6s  %-36s  %s\n"

func printParked(out io.Writer, all []deadletter.Parked, wanted bool) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, "no command is parked")
		return err
	}
	rows := output.Newest(all, output.RowsOf(len(all), wanted), func(p deadletter.Parked) time.Time { return p.Since })
	fmt.Fprintf(out, parkedColumns, "CLOUD", "TIME", "OPERATION", "OUTCOME", "CODE", "STATUS", "ID", "REASON")
	for _, p := range rows {
		if err := printParkedLine(out, p); err != nil {
			return err
		}
	}
	return output.PrintMore(out, len(all)-len(rows), "older")
}

func printParkedLine(out io.Writer, p deadletter.Parked) error {
	const most = 80
	status, reason := "-", p.Reason
	if p.Status != 0 {
		status = strconv.Itoa(p.Status)
	}
	if p.Broken != nil {
		reason = "it cannot be read: " + p.Broken.Error()
	}
	_, err := fmt.Fprintf(out, parkedColumns, p.Cloud, timetext.Stamp(p.Since),
		orDash(output.OneLine([]byte(p.Operation))), orDash(output.OneLine([]byte(p.Outcome))), orDash(output.OneLine([]byte(p.Code))), status,
		orDash(output.OneLine([]byte(p.ID))), shortened(output.OneLine([]byte(reason)), most))
	return err
}

// parkedJSON is a parked command for machines.
type parkedJSON struct {
	Cloud     string         `json:"cloud"`
	Object    string         `json:"object"`
	Since     time.Time      `json:"time"`
	Resource  string         `json:"resource,omitempty"`
	Operation string         `json:"operation,omitempty"`
	Outcome   events.Outcome `json:"outcome,omitempty"`
	Code      string         `json:"code,omitempty"`
	Status    int            `json:"status,omitempty"`
	ID        string         `json:"id,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Position  string         `json:"position,omitempty"`
	Subjects  []string       `json:"subjects,omitempty"`
	Broken    string         `json:"broken,omitempty"` // why the object cannot be read
}

func printParkedJSON(out io.Writer, p deadletter.Parked) error {
	j := parkedJSON{
		Cloud: p.Cloud, Object: p.Object, Since: p.Since.UTC(), Resource: p.Resource, Operation: p.Operation, Outcome: p.Outcome, Code: p.Code,
		Status: p.Status, ID: p.ID, Reason: p.Reason, Position: p.Position, Subjects: p.Subjects,
	}
	if p.Broken != nil {
		j.Broken = p.Broken.Error()
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, escapeControls(text))
	return err
}
