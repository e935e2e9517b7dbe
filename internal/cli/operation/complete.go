package operation

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// completeFiles are the files that start with the text after file=@.
func completeFiles(begun string) []string {
	dir, base := filepath.Split(begun)
	files, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil
	}
	var out []string
	for _, file := range files {
		name := file.Name()
		if !strings.HasPrefix(name, base) {
			continue
		}
		if file.IsDir() {
			name += string(filepath.Separator)
		}
		out = append(out, dir+name)
	}
	return out
}

// completeFields completes the operation, out of the wanted ones, then its fields, then the values of a field.
func completeFields(wanted func(factro.Operation) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			names, directive := Complete(cmd, args, toComplete)
			return slices.DeleteFunc(names, func(s string) bool {
				name, _, _ := strings.Cut(s, "\t")
				op, _ := factro.Lookup(name)
				return !wanted(op)
			}), directive
		}
		op, ok := factro.Lookup(args[0])
		if !ok {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		given := map[string]bool{}
		for _, a := range args[1:] {
			name, _, _ := strings.Cut(a, "=")
			given[strings.TrimSuffix(name, ":")] = true
		}
		var out []string
		for _, f := range op.Fields {
			switch {
			case given[f.Name]:
			case f.Name == "file" && strings.HasPrefix(toComplete, "file=@"):
				for _, path := range completeFiles(strings.TrimPrefix(toComplete, "file=@")) {
					out = append(out, "file=@"+path)
				}
			case strings.HasPrefix(toComplete, f.Name+"="):
				values := f.Enum
				if f.Type == "boolean" {
					values = []string{"true", "false"}
				}
				for _, v := range values {
					out = append(out, f.Name+"="+v)
				}
			default:
				out = append(out, f.Name+"=\t"+f.Doc)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}
