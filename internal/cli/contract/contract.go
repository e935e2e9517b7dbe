package contract

import (
	"github.com/spf13/cobra"
)

// New makes the command contract.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use: "contract", Short: "Print the contract of the bridge: operations, schemas, subjects", Example: "  bridge contract operations", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newOperations(), newSchema(), newAsyncAPI(), newDiff(), newActions())
	return cmd
}
