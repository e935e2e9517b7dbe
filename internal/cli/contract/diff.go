package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/contract/compare"
)

func newDiff() *cobra.Command {
	var asJSON, names, all bool
	cmd := &cobra.Command{
		Use:   "diff FILE",
		Short: "Compare factro's own description of its API with ours",
		Long: `Compare a newly downloaded description of factro's Core API with the description that the bridge is built from. It lists the
operations and fields that were added, removed or changed: the first 20 operations, or everything with --all or --json.

FILE is an OpenAPI 3 document as JSON or YAML, or the file swagger-ui-init.js from factro's pages at
https://cloud.factro.com/api/core/docs/, which contains it; - is standard input. Exit code 6 means that there are differences.`,
		Example: "  bridge contract diff swagger-ui-init.js\n  bridge contract diff openapi.json --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.Usage("which file? give one, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readInput(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			c, err := compare.Descriptions(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(c)
			} else {
				err = printComparison(cmd.OutOrStdout(), c, names, all)
			}
			if err == nil && len(c.Differences) > 0 {
				return exit.Silent(exit.Different)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	output.AllFlag(cmd, &all)
	cmd.Flags().BoolVar(&names, "names", false, "also list the names that the operations have there")
	return cmd
}

func readInput(stdin io.Reader, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(path)
}

// printComparison prints operations as lines and their fields below them, and a summary at the end.
func printComparison(out io.Writer, c compare.Comparison, withNames, all bool) error {
	marks := map[string]string{compare.Added: "+", compare.Removed: "-", compare.Changed: "~"}
	counts, last, rows := map[string]int{}, "", 0
	list := out
	next := func() { // rows above the limit are only counted
		if rows++; rows > output.MaxRows && !all {
			list = io.Discard
		}
	}
	for _, d := range c.Differences {
		if d.Field == "" {
			counts[d.Kind]++
			next()
			fmt.Fprintf(list, "%s %s  %s\n", marks[d.Kind], d.Route, d.Operation)
			continue
		}
		if d.Route != last {
			counts[compare.Changed]++
			next()
			fmt.Fprintf(list, "~ %s  %s\n", d.Route, d.Operation)
			last = d.Route
		}
		switch d.Kind {
		case compare.Changed:
			fmt.Fprintf(list, "    ~ %s: %s -> %s\n", d.Field, d.Ours, d.Fresh)
		default:
			fmt.Fprintf(list, "    %s %s: %s\n", marks[d.Kind], d.Field, d.Ours+d.Fresh)
		}
	}
	if err := output.PrintMore(out, rows-output.RowsOf(rows, all), "more"); err != nil {
		return err
	}
	if withNames {
		for _, ours := range slices.Sorted(maps.Keys(c.Names)) {
			fmt.Fprintf(out, "= %s is called %s\n", ours, c.Names[ours])
		}
	}
	if c.Prefix != "" {
		fmt.Fprintf(out, "its paths begin with %s\n", c.Prefix)
	}
	_, err := fmt.Fprintf(out, "operations: %d added, %d removed, %d changed, %d the same; %d have another name there\n",
		counts[compare.Added], counts[compare.Removed], counts[compare.Changed], c.Same, len(c.Names))
	return err
}
