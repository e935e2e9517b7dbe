package contract

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/contract/compare"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func newActions() *cobra.Command {
	return &cobra.Command{
		Use:   "actions [FILE]",
		Short: "List the names of factro's actions",
		Long: `List the names of the actions that webhooks can have. Without a file it lists only the public names; factro has about 300
actions.

With a file, it lists all names in factro's own description of its API (see "bridge contract diff"), one per line. That is the
format of the file in known_actions_file.`,
		Example: "  bridge contract actions\n  bridge contract actions swagger-ui-init.js > actions.txt",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, a := range factro.Actions() {
					fmt.Fprintf(cmd.OutOrStdout(), "%-22s # %s\n", a.Name, a.Confidence)
				}
				return nil
			}
			text, err := readInput(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			actions, err := compare.Actions(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(actions, "\n"))
			return err
		},
	}
}
