package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completeFiles makes the shell complete file names only where a file is expected.
func completeFiles(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	anyFile := cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	moments := cobra.FixedCompletions([]string{"1h\tan hour ago", "24h\ta day ago", "7d\ta week ago"}, cobra.ShellCompDirectiveNoFileComp)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.ValidArgsFunction == nil && strings.Contains(cmd.Use, "FILE") {
			cmd.ValidArgsFunction = anyFile
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			kind, _ := pflag.UnquoteUsage(f)
			switch {
			case f.Name == "config":
				_ = cmd.MarkFlagFilename(f.Name, "yaml", "yml")
			case kind == "file":
				_ = cmd.RegisterFlagCompletionFunc(f.Name, anyFile)
			case kind == "directory":
				_ = cmd.MarkFlagDirname(f.Name)
			case kind == "time":
				_ = cmd.RegisterFlagCompletionFunc(f.Name, moments)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}
