package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/canary"
)

func writeReport(out io.Writer, r canary.Report, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "canary of %s\n  trace    %s\n", r.Cloud, r.Trace)
	for _, l := range r.Legs {
		verdict := "came"
		if !l.OK {
			verdict = "FAILED"
		}
		fmt.Fprintf(&text, "\n%s %s after %s\n  to       %s\n", l.Name, verdict, duration(l.Millis), l.To)
		if l.Answered > 0 {
			fmt.Fprintf(&text, "  202      after %s\n", duration(l.Answered))
		}
		if l.Arrived != "" {
			fmt.Fprintf(&text, "  arrived  %s\n", l.Arrived)
		}
		if l.Trace != "" && l.Trace != r.Trace {
			fmt.Fprintf(&text, "  trace    %s\n", l.Trace)
		}
		for line := range strings.Lines(l.Error) {
			fmt.Fprintf(&text, "  error    %s\n", strings.TrimSpace(line))
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func duration(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond))) // 4.1 ms, and not 4.099999
}
