package operation

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// The command lines for bridge in the reference, parsed by a real shell and by our own code, make the same data as the command lines for
// nats beside them.
func TestReferenceLinesMakeTheirExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../docs/reference/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no reference: %v", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if !strings.HasPrefix(line, "bridge send ") && !strings.HasPrefix(line, "bridge query ") {
				continue
			}
			out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s\\0' "+line).Output()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
			op, ok := factro.Lookup(words[2])
			if !ok || op.Writes() != (words[1] == "send") || op.Resource+".md" != filepath.Base(file) {
				t.Errorf("%s is not of %s", line, file)
				continue
			}
			seen[op.Name] = true
			data, err := commandData(op, words[3:], nil)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			var got, want any
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(op.Example(), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s makes %s, want %s", line, data, op.Example())
			}
		}
	}
	if len(seen) != len(factro.Operations()) {
		t.Errorf("the reference shows %d operations, want %d", len(seen), len(factro.Operations()))
	}
}
