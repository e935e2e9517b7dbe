package contract

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/operation"
	"github.com/factro-bridge/factro-bridge/internal/cli/suggest"
	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func newAsyncAPI() *cobra.Command {
	var prefix, resource string
	cmd := &cobra.Command{
		Use:   "asyncapi",
		Short: "Print the contract as an AsyncAPI document",
		Long: `Print all subjects, messages and schemas of the bridge as an AsyncAPI 3.1 document in YAML.

With --resource, it prints only the part for that resource: the whole document has more than a megabyte, which is too much for
some generators. Each channel is in the document of one resource. Channels about the bridge itself, or about no resource, are in
the document of "bridge".

A running bridge serves the same documents, with its own prefix, on its admin address at /contract/asyncapi.yaml and
/contract/asyncapi/RESOURCE.yaml.`,
		Example: "  bridge contract asyncapi --resource task > task.yaml\n  bridge contract asyncapi > asyncapi.yaml\n  bridge contract asyncapi --prefix acme",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := contract.AsyncAPI(events.Prefix(prefix))
			if cmd.Flags().Changed("resource") {
				text, err = contract.AsyncAPIOf(events.Prefix(prefix), resource)
			}
			if err != nil {
				return exit.Usage("%w", err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", events.DefaultPrefix, "first token of the subjects")
	cmd.Flags().StringVar(&resource, "resource", "", "print only the part for this resource, such as task")
	_ = cmd.RegisterFlagCompletionFunc("resource", cobra.FixedCompletions(contract.Resources(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [NAME]",
		Short: "List the JSON Schemas of the contract, or print one",
		Long: `List the JSON Schemas (draft 2020-12) of events, commands, results, queries and answers, with their ids. With a name, print
that schema. It has no external references.

OPERATION is short for command.OPERATION or query.OPERATION.`,
		Example:           "  bridge contract schema\n  bridge contract schema createTask\n  bridge contract schema result.createTask > result.json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeSchema,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 1 {
				text, ok := schemas.Document(args[0])
				if !ok {
					return exit.Usage("there is no schema %q%s; bridge contract schema lists them", args[0], suggest.DidYouMean(args[0], append(operation.Names(), schemas.Names()...)))
				}
				_, err := out.Write(text)
				return err
			}
			w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tID")
			for _, name := range schemas.Names() {
				fmt.Fprintf(w, "%s\t%s\n", name, events.SchemaURI(name))
			}
			return w.Flush()
		},
	}
}

// completeSchema completes the names of schemas, and those of operations, which stand for one.
func completeSchema(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	operations, directive := operation.Complete(cmd, args, toComplete)
	return append(schemas.Names(), operations...), directive
}
