package operation

import (
	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/suggest"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Lookup finds an operation by its name. The error suggests similar names.
func Lookup(name string) (factro.Operation, error) {
	op, ok := factro.Lookup(name)
	if !ok {
		return op, exit.Usage("there is no operation %q%s; bridge contract operations lists them", name, suggest.DidYouMean(name, Names()))
	}
	return op, nil
}

// Names are the names of all operations.
func Names() []string {
	var names []string
	for _, op := range factro.Operations() {
		names = append(names, op.Name)
	}
	return names
}

// Complete completes the names of operations.
func Complete(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, op := range factro.Operations() {
		names = append(names, op.Name+"\t"+op.Summary)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
