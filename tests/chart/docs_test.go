package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocuments renders every block of values that readers should write. The first one of a document is the least
// that can be installed; each of the others is put on top of it.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, name := range []string{filepath.Join(rootDir, "docs", "kubernetes.md"), filepath.Join(chartDir, "README.md")} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		blocks := valueBlocks(string(content))
		if fences := strings.Count(string(content), "```yaml"); len(blocks) == 0 || len(blocks) != fences {
			t.Fatalf("%s: %d of %d blocks of values were found", name, len(blocks), fences)
		}
		dir := t.TempDir()
		for i, block := range blocks {
			file := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
			write(t, file, block)
			t.Run(fmt.Sprintf("%s %d", filepath.Base(name), i+1), func(t *testing.T) {
				t.Parallel()
				in := clusters(t)
				text := render(t, in[len(in)-1], chartDir, "--values", filepath.Join(dir, "0.yaml"), "--values", file)
				inspect(t, text)
				understood(t, text)
				references(t, text)
			})
		}
		t.Logf("%s: %d blocks of values", filepath.Base(name), len(blocks))
	}
}

// valueBlocks returns the fenced blocks of YAML in a Markdown document, also those that belong to an item of a list.
func valueBlocks(document string) []string {
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$").FindAllStringSubmatch(document, -1) {
		blocks = append(blocks, strings.ReplaceAll("\n"+match[2], "\n"+match[1], "\n"))
	}
	return blocks
}
