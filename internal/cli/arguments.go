package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/suggest"
	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// reportArgumentMistakes gives mistakes in arguments the same exit code as mistakes in flags, and says what is expected.
func reportArgumentMistakes(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			err := args(cmd, given)
			if _, isOurs := errors.AsType[*exit.Error](err); err == nil || isOurs {
				return err
			}
			return exit.Usage("%s\nSee %q.", wrongArguments(cmd, given), cmd.CommandPath()+" --help")
		}
	}
	for _, sub := range cmd.Commands() {
		reportArgumentMistakes(sub)
	}
}

// wrongArguments says what is wrong with the arguments of a command and what is expected.
func wrongArguments(cmd *cobra.Command, given []string) string {
	switch {
	case cmd.HasSubCommands():
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		return fmt.Sprintf("unknown command %q for %q%s; there are %s", given[0], cmd.CommandPath(), suggest.DidYouMean(given[0], names), strings.Join(names, ", "))
	case len(given) == 1 && len(cmd.ValidArgs) > 0:
		return fmt.Sprintf("%q is none of %s%s", given[0], strings.Join(cmd.ValidArgs, ", "), suggest.DidYouMean(given[0], cmd.ValidArgs))
	}
	count := "no argument was given"
	if n := len(given); n > 0 {
		count = plural.Of(n, "argument") + plural.Choose(n, " was given", " were given")
	}
	return fmt.Sprintf("%s; want: %s", count, strings.TrimSuffix(cmd.Parent().CommandPath()+" "+cmd.Use, " "))
}

// wrongFlag says what is wrong with a flag and what is expected.
func wrongFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		err = fmt.Errorf("%w%s", err, suggest.DidYouMean("--"+unknown.GetSpecifiedName(), names))
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		cause := invalid.Unwrap()
		if _, isNumber := errors.AsType[*strconv.NumError](cause); isNumber {
			cause = fmt.Errorf("%q is no %s", invalid.GetValue(), valueKinds[invalid.GetFlag().Value.Type()])
		}
		err = fmt.Errorf("--%s: %w", invalid.GetFlag().Name, cause)
	}
	if empty, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		_, text := pflag.UnquoteUsage(empty.GetFlag())
		err = fmt.Errorf("--%s needs a value: %s", empty.GetFlag().Name, text)
	}
	return exit.Usage("%w\nSee %q.", err, cmd.CommandPath()+" --help")
}

// valueKinds describes the types of flag values.
var valueKinds = map[string]string{
	"int": "whole number", "uint64": "whole number from 0 on", "float64": "number", "bool": "true or false",
}
