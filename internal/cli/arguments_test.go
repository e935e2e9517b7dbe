package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
)

// A typing mistake gets an error that says what is expected, and the exit code for a wrong command line.
func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"sned":                        `unknown command "sned" for "bridge" (did you mean send?); there are canary, `,
		"dead lst":                    `unknown command "lst" for "bridge dead" (did you mean list?); there are drop, list, `,
		"contract fly":                `unknown command "fly" for "bridge contract"; there are actions, asyncapi, `,
		"dead show":                   `no argument was given; want: bridge dead show CLOUD/SEQ | ID`,
		"version x":                   `1 argument was given; want: bridge version`,
		"config check a b":            `2 arguments were given; want: bridge config check [FILE]`,
		"tail evnts":                  `"evnts" is none of events, results, dead, changes (did you mean events?)`,
		"run --confg x":               `unknown flag: --confg (did you mean --config?)`,
		"run -x":                      `unknown shorthand flag: 'x'`,
		"tail events --since":         `--since needs a value: start at this time`,
		"dead list --limit x":         `--limit: "x" is no whole number`,
		"dead redrive --rate much":    `--rate: "much" is no number`,
		"sim --seed -1":               `--seed: "-1" is no whole number from 0 on`,
		"dead list --quiet=maybe":     `--quiet: "maybe" is no true or false`,
		"send createTsk":              `there is no operation "createTsk" (did you mean createTask?)`,
		"contract schema createTsk":   `there is no schema "createTsk" (did you mean createTask?)`,
		"reconcile --timeout 5x":      `--timeout: "5x" is no duration such as 500ms, 90s, 2h or 7d`,
		"reconcile --since gestern":   `--since: "gestern" is neither a duration`,
		"sim --clock gestern":         `--clock: "gestern" is no duration`,
		"sim --fault latency,delay=x": `delay: "x" is no duration such as`,
	} {
		root := newRoot("test")
		root.SetArgs(strings.Fields(line))
		err := root.ExecuteContext(t.Context())
		if code, ok := errors.AsType[*exit.Error](err); !ok || code.Code != exit.WrongUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", line, err, want)
		}
	}
}

// Each command has an example and lists its exit codes. A flag has one meaning: the same type, letter and kind of value in all
// commands.
func TestCommandsAreConsistent(t *testing.T) {
	t.Parallel()
	type flag struct{ kind, letter, value, where string }
	flags := map[string]flag{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Example == "" || cmd.Short == "" {
			t.Errorf("%s has no example or no short help", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() && !strings.Contains(cmd.Long, "\n    2  wrong command line") {
			t.Errorf("%s does not list its exit codes", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			value, _ := pflag.UnquoteUsage(f)
			is := flag{f.Value.Type(), f.Shorthand, value, cmd.CommandPath()}
			// In dev the same names are addresses to listen on: it starts the servers that other commands connect to.
			first, known := flags[f.Name]
			if known && !strings.HasSuffix(is.where, " dev") && !strings.HasSuffix(first.where, " dev") && (first.kind != is.kind || first.letter != is.letter || first.value != is.value) {
				t.Errorf("--%s is %+v and %+v", f.Name, first, is)
			}
			flags[f.Name] = is
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot("test"))
	for path := range extraExits {
		if cmd, _, err := newRoot("test").Find(strings.Fields(path)[1:]); err != nil || cmd.CommandPath() != path {
			t.Errorf("exit codes of %s: there is no such command", path)
		}
	}
}

// No output has "1 events" or "event(s)": one package formats numbers with nouns.
func TestNoParenthesesForPlurals(t *testing.T) {
	t.Parallel()
	guess := regexp.MustCompile(`[a-z]\((s|es|en|n)\)`)
	for _, dir := range []string{"../../cmd", "../../internal", "../../pkg", "../../docs", "../../deploy"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, line := range strings.Split(string(text), "\n") {
				code := regexp.MustCompile("\"[^\"]*\"").FindAllString(line, -1)
				if !strings.HasSuffix(path, ".go") {
					code = []string{line}
				}
				for _, words := range code {
					if guess.MatchString(words) {
						t.Errorf("%s:%d: %s", path, i+1, words)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
