package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/doctor"
	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// printReport prints a report for people: a line for each check that is good, three for each finding.
func printReport(out io.Writer, r doctor.Report, quiet bool) error {
	var b strings.Builder
	group := ""
	for _, c := range r.Checks {
		if quiet && c.Level == doctor.OK {
			continue
		}
		if c.Group != group {
			group = c.Group
			fmt.Fprintln(&b, group)
		}
		for _, f := range c.Findings {
			if !quiet || f.Level != doctor.OK {
				printFinding(&b, c.Name, f)
			}
		}
	}
	if b.Len() > 0 {
		fmt.Fprintln(&b)
	}
	counts := []string{
		plural.Of(r.Problems, "problem"), plural.Of(r.Warnings, "warning"), plural.Of(r.Notes, "note"), fmt.Sprintf("%d unknown", r.Unknown),
	}
	fmt.Fprintln(&b, strings.Join(counts, ", "))
	_, err := io.WriteString(out, b.String())
	return err
}

func printFinding(b *strings.Builder, check string, f doctor.Finding) {
	level := f.Level.String()
	if f.Level >= doctor.Warning {
		level = strings.ToUpper(level)
	}
	what := f.What
	if f.About != "" && !strings.HasPrefix(what, f.About) {
		what = f.About + ": " + what
	}
	if f.Cloud != "" {
		what = "(" + f.Cloud + ") " + what
	}
	fmt.Fprintf(b, "  %-8s %-19s %s\n", level, check, oneLine(what))
	if f.Level == doctor.OK {
		return
	}
	for _, more := range []struct{ name, text string }{{"why", f.Why}, {"fix", f.Fix}} {
		if more.text != "" {
			fmt.Fprintf(b, "  %8s   %-4s %s\n", "", more.name, oneLine(more.text))
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
