package main

import (
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/progress"
)

// progressFlag is the flag of the commands that can take long.
type progressFlag struct{ quiet bool }

func (f *progressFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "tell no progress on standard error")
}

// start begins to tell progress, nil if it is not wanted: as a line on a terminal, else as lines from time to time. It is to be
// stopped.
func (f *progressFlag) start(cmd *cobra.Command) *progress.Task {
	switch {
	case f.quiet:
		return nil
	case isTerminal(os.Stderr) && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows":
		return progress.OnTerminal(os.Stderr) // past what escapes control characters
	}
	return progress.InLines(cmd.ErrOrStderr())
}
