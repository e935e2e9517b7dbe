package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// strict gives a mistake in the arguments the exit code of one in the flags, and says what would be right.
func strict(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			err := args(cmd, given)
			if _, isOurs := errors.AsType[*exitError](err); err == nil || isOurs {
				return err
			}
			return usage("%s\nSee %q.", wrongArguments(cmd, given), cmd.CommandPath()+" --help")
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// wrongArguments says what is wrong with the arguments of a command, and what would be right.
func wrongArguments(cmd *cobra.Command, given []string) string {
	switch {
	case cmd.HasSubCommands():
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		return fmt.Sprintf("unknown command %q for %q%s; there are %s", given[0], cmd.CommandPath(), meant(given[0], names), strings.Join(names, ", "))
	case len(given) == 1 && len(cmd.ValidArgs) > 0:
		return fmt.Sprintf("%q is none of %s%s", given[0], strings.Join(cmd.ValidArgs, ", "), meant(given[0], cmd.ValidArgs))
	}
	count := "no argument was given"
	if n := len(given); n > 0 {
		count = plural.Of(n, "argument") + plural.Choose(n, " was given", " were given")
	}
	return fmt.Sprintf("%s; want: %s", count, strings.TrimSuffix(cmd.Parent().CommandPath()+" "+cmd.Use, " "))
}

// wrongFlag says what is wrong with a flag, and what would be right.
func wrongFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		err = fmt.Errorf("%w%s", err, meant("--"+unknown.GetSpecifiedName(), names))
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
	return usage("%w\nSee %q.", err, cmd.CommandPath()+" --help")
}

// valueKinds are the types of the flags that are numbers, in words.
var valueKinds = map[string]string{
	"int": "whole number", "uint64": "whole number from 0 on", "float64": "number", "bool": "true or false",
}

// meant asks whether the nearest of the names was meant, if one is near.
func meant(given string, names []string) string {
	const far = 3
	best, least := "", far
	for _, name := range names {
		if d := edits(strings.ToLower(given), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	if best == "" || least >= len(given) {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// edits is how many characters lie between two words: the distance of Damerau and Levenshtein, in its simple form.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range y {
		rows[0][j+1] = j + 1
	}
	for i := range x {
		for j := range y {
			change := 1
			if x[i] == y[j] {
				change = 0
			}
			d := min(rows[i][j+1]+1, rows[i+1][j]+1, rows[i][j]+change)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] { // two that stand the other way round
				d = min(d, rows[i-1][j-1]+1)
			}
			rows[i+1][j+1] = d
		}
	}
	return rows[len(x)][len(y)]
}

// exitTexts say what the exit codes mean, exits which of them a command has beside those that all have.
var (
	exitTexts = map[int]string{
		exitOK: "done", exitFailure: "failure", exitUsage: "wrong command line or configuration", exitRejected: "command rejected or query refused",
		exitDead: "command dead", exitNoResult: "no result in time", exitDifferent: "descriptions or streams differ, or events are missing",
		exitInterrupted: "interrupted by a second signal",
	}
	exits = map[string][]int{
		"bridge send": {exitRejected, exitDead, exitNoResult}, "bridge query": {exitRejected, exitNoResult},
		"bridge canary":       {exitRejected, exitDead, exitNoResult},
		"bridge dead redrive": {exitRejected, exitDead, exitNoResult},
		"bridge reconcile":    {exitDifferent}, "bridge streams diff": {exitDifferent}, "bridge contract diff": {exitDifferent},
	}
)

// tellExits adds the exit codes to the help of each command, and all of them to that of the root.
func tellExits(cmd *cobra.Command) {
	codes := slices.Concat([]int{exitOK, exitFailure, exitUsage}, exits[cmd.CommandPath()], []int{exitInterrupted})
	if !cmd.HasParent() {
		codes = []int{exitOK, exitFailure, exitUsage, exitRejected, exitDead, exitNoResult, exitDifferent, exitInterrupted}
	}
	if !cmd.HasParent() || !cmd.HasSubCommands() {
		var texts []string
		for _, code := range codes {
			texts = append(texts, fmt.Sprintf("  %3d  %s", code, exitTexts[code]))
		}
		if cmd.Long == "" {
			cmd.Long = cmd.Short + "."
		}
		cmd.Long += "\n\nExit codes:\n" + strings.Join(texts, "\n")
	}
	for _, sub := range cmd.Commands() {
		tellExits(sub)
	}
}
