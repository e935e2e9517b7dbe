package cli

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/spf13/cobra"
)

// TestRename: command lines in the help use the name under which the program was started.
func TestRename(t *testing.T) {
	t.Parallel()
	root := newRoot("test")
	renamed := rename(root, "factro-bridge")
	names := map[string]bool{}
	for _, sub := range newRoot("test").Commands() {
		names[sub.Name()] = true
	}
	shown := regexp.MustCompile(`([\w-]*bridge) ([a-z-]+)`)
	found := 0
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		var help bytes.Buffer
		cmd.SetOut(&help)
		if err := cmd.Help(); err != nil {
			t.Error(err)
		}
		for _, m := range shown.FindAllStringSubmatch(help.String(), -1) {
			if !names[m[2]] {
				continue // a sentence about the bridge
			}
			if m[1] != "factro-bridge" {
				t.Errorf("%s: help says %q", cmd.CommandPath(), m[0])
			}
			found++
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(root)
	const mistake = `nothing is served; "bridge dead list" shows more. A bridge for ./bridge run is running`
	if got := renamed(mistake); got != `nothing is served; "factro-bridge dead list" shows more. A bridge for ./bridge run is running` {
		t.Errorf("an error becomes %s", got)
	}
	if found < 20 {
		t.Errorf("only %d command lines were found: the search is broken", found)
	}
}
