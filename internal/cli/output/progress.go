package output

import (
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/progress"
)

// IsTerminal says whether a person may be there to answer. The null device is a character device too, but not a terminal.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// ProgressFlag is the flag of the commands that can take long.
type ProgressFlag struct{ quiet bool }

// Add declares the flag.
func (f *ProgressFlag) Add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print no progress on standard error")
}

// Start begins to print progress: one changing line on a terminal, otherwise a line from time to time. It returns nil with --quiet.
// The caller has to stop it.
func (f *ProgressFlag) Start(cmd *cobra.Command) *progress.Task {
	switch {
	case f.quiet:
		return nil
	case IsTerminal(os.Stderr) && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows":
		return progress.OnTerminal(os.Stderr) // not through the writer that escapes control characters
	}
	return progress.InLines(cmd.ErrOrStderr())
}
