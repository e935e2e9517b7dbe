package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every command line of ours that the documents show, in a block or in a sentence, is one that the binary takes.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile("(?m)(?:^ *(?:\\./bridge|bridge|(?:sudo )?factro-bridge|go run \\./cmd/bridge) ([^#|>\n]+))|`bridge ([a-z][^`|]*)`")
	seen := 0
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shown.FindAllStringSubmatch(string(text), -1) {
			words := strings.Fields(m[1] + m[2])
			seen++
			cmd, rest, err := newRoot().Find(words)
			if strings.HasPrefix(words[0], "-") { // bridge --help
				cmd, rest = newRoot(), words
			}
			if err != nil {
				t.Errorf("%s shows %q: %v", file, m[0], err)
				continue
			}
			if err := cmd.ParseFlags(rest); err != nil && !strings.Contains(err.Error(), "help requested") {
				t.Errorf("%s shows %q: %v", file, m[0], err)
			}
			if cmd.HasSubCommands() && cmd.HasParent() && len(cmd.Flags().Args()) > 0 {
				t.Errorf("%s shows %q: there is no such command", file, m[0])
			}
		}
	}
	if seen < 5 {
		t.Errorf("found %d command lines only: the search is broken", seen)
	}
}

// documents are all documents of the repository that people read.
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
