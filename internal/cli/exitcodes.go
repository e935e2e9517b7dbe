package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
)

// exitTexts describes the exit codes. extraExits has the codes that only some commands have.
var (
	exitTexts = map[int]string{
		exit.OK: "done", exit.Failure: "failure", exit.WrongUsage: "wrong command line or configuration", exit.Rejected: "command rejected, query refused, or no such object",
		exit.Dead: "command dead", exit.NoResult: "no result in time", exit.Different: "descriptions or streams differ, or events are missing",
		exit.Interrupted: "interrupted by a second signal",
	}
	extraExits = map[string][]int{
		"bridge send": {exit.Rejected, exit.Dead, exit.NoResult}, "bridge query": {exit.Rejected, exit.NoResult},
		"bridge get":          {exit.Rejected},
		"bridge trace":        {exit.Rejected},
		"bridge cancel":       {exit.Rejected, exit.NoResult},
		"bridge canary":       {exit.Rejected, exit.Dead, exit.NoResult},
		"bridge dead redrive": {exit.Rejected, exit.Dead, exit.NoResult},
		"bridge reconcile":    {exit.Different}, "bridge streams diff": {exit.Different}, "bridge contract diff": {exit.Different},
	}
)

// addExitCodes adds its exit codes to the help of each command, and all exit codes to the help of the root.
func addExitCodes(cmd *cobra.Command) {
	codes := slices.Concat([]int{exit.OK, exit.Failure, exit.WrongUsage}, extraExits[cmd.CommandPath()], []int{exit.Interrupted})
	if !cmd.HasParent() {
		codes = []int{exit.OK, exit.Failure, exit.WrongUsage, exit.Rejected, exit.Dead, exit.NoResult, exit.Different, exit.Interrupted}
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
		addExitCodes(sub)
	}
}
