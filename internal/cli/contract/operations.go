package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/operation"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func newOperations() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "operations [NAME]",
		Short: "List the operations of the Core API, or show one with its fields",
		Long: `List the operations of the Core API: those that write are commands, the others are queries. With a name, show the fields of
that operation.

The list says how certain each operation is: observed (seen in a live system), documented (from the vendor's documents), or
inferred (concluded from other facts).`,
		Example:           "  bridge contract operations\n  bridge contract operations createTask",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: operation.Complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 0 {
				return listOperations(out, asJSON)
			}
			op, err := operation.Lookup(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(out).Encode(op)
			}
			return showOperation(out, op)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one operation per line")
	return cmd
}

func listOperations(out io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		for _, op := range factro.Operations() {
			if err := enc.Encode(op); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OPERATION\tRESOURCE\tKIND\tREQUEST\tKNOWN\tWHAT IT DOES")
	for _, op := range factro.Operations() {
		kind := "query"
		switch {
		case op.Creates():
			kind = "command, once"
		case op.Writes():
			kind = "command"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s %s\t%s\t%s\n", op.Name, op.Resource, kind, op.Method, op.Path, op.Confidence, op.Summary)
	}
	return w.Flush()
}

func showOperation(out io.Writer, op factro.Operation) error {
	fmt.Fprintf(out, "%s: %s\n", op.Name, op.Summary)
	if op.Remarks != "" {
		fmt.Fprintln(out, op.Remarks)
	}
	fmt.Fprintf(out, "%s %s (%s)\n", op.Method, op.Path, op.Confidence)
	subject := events.Prefix(events.DefaultPrefix).Query
	if op.Writes() {
		subject = events.Prefix(events.DefaultPrefix).Command
	}
	fmt.Fprintf(out, "subject: %s\n", subject("<cloud>", op.Resource, op.Name))
	if len(op.Fields) == 0 {
		_, err := fmt.Fprintln(out, "no fields")
		return err
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIELD\tTYPE\tREQUIRED\tREMARKS")
	for _, f := range op.Fields {
		required := ""
		if f.Required {
			required = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, fieldType(f), required, f.Doc)
	}
	return w.Flush()
}

func fieldType(f factro.Field) string {
	t := f.Type
	if f.Format != "" {
		t += " (" + f.Format + ")"
	}
	if f.Enum != nil {
		t = strings.Join(f.Enum, " | ")
	}
	if f.Nullable {
		t += " or null"
	}
	return t
}
