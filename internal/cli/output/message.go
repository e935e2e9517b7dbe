package output

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

// PrintMessage prints a message for people: a summary line, and the details below it.
func PrintMessage(out io.Writer, m journal.Message) {
	fmt.Fprintf(out, "%s  %s\n", timetext.FineStamp(m.Time), m.Subject)
	if m.Broken == nil {
		fmt.Fprintf(out, "  id     %s\n", m.Event.ID())
	}
	if id := m.TraceID(); id != "" {
		fmt.Fprintf(out, "  trace  %s\n", id)
	}
	why := m.Dead()
	for _, name := range slices.Sorted(maps.Keys(why)) {
		fmt.Fprintf(out, "  %-6s %s\n", strings.ToLower(strings.TrimPrefix(name, "Factro-Dead-")), why[name])
	}
	fmt.Fprintf(out, "  data   %s\n", OneLine(m.Data))
}

// OneLine makes a body safe for a terminal: one line, without control characters, and not too long.
func OneLine(data []byte) string {
	const most = 400
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, string(data))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
