package output

import (
	"fmt"
	"io"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// PrintResult prints the result of a command for people.
func PrintResult(out io.Writer, r events.Result, traceID string) {
	call, err := r.PlannedCall()
	dryRun := err == nil
	if dryRun {
		fmt.Fprintf(out, "%s would be %s (dry run)", r.Operation, r.Outcome)
	} else {
		fmt.Fprintf(out, "%s %s", r.Operation, r.Outcome)
	}
	if r.Status != 0 {
		fmt.Fprintf(out, " (%d)", r.Status)
	}
	fmt.Fprintln(out)
	if r.Resource != nil && r.Resource.ID != "" {
		fmt.Fprintf(out, "  %-8s %s %s\n", r.Resource.Type, r.Resource.ID, r.Resource.URL)
	}
	if r.Error != nil {
		fmt.Fprintf(out, "  %-8s %s\n", r.Error.Code, r.Error.Message)
	}
	if r.RetryAt != nil {
		fmt.Fprintf(out, "  next attempt at %s\n", timetext.Stamp(*r.RetryAt))
	}
	if dryRun {
		printCall(out, call)
	}
	if traceID != "" {
		fmt.Fprintf(out, "  %-8s %s\n", "trace", traceID)
	}
}

// printCall prints the planned call of a dry run.
func printCall(out io.Writer, c events.PlannedCall) {
	fmt.Fprintf(out, "  %-8s %s %s\n", "call", c.Method, strings.TrimSuffix(c.Path+"?"+c.Query, "?"))
	if c.Body != nil {
		fmt.Fprintf(out, "  %-8s %s\n", "body", c.Body)
	}
	if c.File != nil {
		fmt.Fprintf(out, "  %-8s %s, %s, %s\n", "file", c.File.Name, c.File.ContentType, plural.Of(c.File.Size, "byte"))
	}
}
