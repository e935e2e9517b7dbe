package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

// shownCommand finds our command lines in a text, in a block or in a sentence.
var shownCommand = regexp.MustCompile("(?m)(?:^ *(?:\\./bridge|bridge|(?:sudo )?factro-bridge|go run \\./cmd/bridge) ([^#|>\n]+))|`bridge ([a-z][^`|]*)`")

// The binary accepts every command line that the documents show, in a block or in a sentence.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen += checkCommands(t, file, string(text))
	}
	if seen < 5 {
		t.Errorf("found %d command lines only: the search is broken", seen)
	}
}

// The event in the German page has the form that tail prints.
func TestDocumentedEvent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/de/erste-schritte.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^ +(\S+)  factro\.event\.`).FindSubmatch(text)
	if shown == nil {
		t.Fatal("the page shows no event")
	}
	if _, err := time.Parse(timetext.FineForm, string(shown[1])); err != nil {
		t.Errorf("tail prints other times: %v", err)
	}
}

// It also accepts every example in the help of a command, and each command has examples.
func TestHelpExamples(t *testing.T) {
	t.Parallel()
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if seen := checkCommands(t, cmd.CommandPath()+" --help", cmd.Example); seen == 0 && cmd.Runnable() {
			t.Errorf("%s has no examples", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRoot("test"))
}

// checkCommands returns how many command lines it has found in a text.
func checkCommands(t *testing.T, from, text string) (seen int) {
	t.Helper()
	for _, m := range shownCommand.FindAllStringSubmatch(text, -1) {
		words := strings.Fields(m[1] + m[2])
		seen++
		cmd, rest, err := newRoot("test").Find(words)
		if strings.HasPrefix(words[0], "-") { // bridge --help
			cmd, rest = newRoot("test"), words
		}
		if err != nil {
			t.Errorf("%s shows %q: %v", from, m[0], err)
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil && !strings.Contains(err.Error(), "help requested") {
			t.Errorf("%s shows %q: %v", from, m[0], err)
		}
		if cmd.HasSubCommands() && cmd.HasParent() && len(cmd.Flags().Args()) > 0 {
			t.Errorf("%s shows %q: there is no such command", from, m[0])
		}
	}
	return seen
}

// documents are all documents in the repository for people.
func documents(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: nothing is found, %v", pattern, err)
		}
		files = append(files, found...)
	}
	return files
}
