package output

import (
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// MessagePrinter prints messages for people: a summary line for each, and the details below it.
type MessagePrinter struct {
	out   io.Writer
	color bool
}

// NewMessagePrinter returns a printer that uses colors: always, never, or if standard output is a terminal (auto).
func NewMessagePrinter(out io.Writer, when string) (MessagePrinter, error) {
	p := MessagePrinter{out: out}
	switch when {
	case "auto":
		p.color = IsTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows"
	case "always":
		p.color = true
	case "never":
	default:
		return p, exit.Usage("--color: %.40q is none of auto, always and never", when)
	}
	if p.color {
		p.out = os.Stdout // the writer of the command escapes control characters, also those that switch colors
	}
	return p, nil
}

// PrintMessage prints a message without colors.
func PrintMessage(out io.Writer, m journal.Message) { MessagePrinter{out: out}.Print(m, "") }

// The colors of subjects and of what is less important, as the parameters of the escape sequence.
const (
	faint = "2"
	plain = ""
	good  = "32"
	late  = "33"
	bad   = "31"
	news  = "36"
	moved = "34"
)

// Print prints a message, and the title of its object if it is known.
func (p MessagePrinter) Print(m journal.Message, title string) {
	subject := p.paint(colorOf(m.Subject), m.Subject)
	if title != "" {
		subject += "  " + p.paint(plain, strconv.Quote(title))
	}
	fmt.Fprintf(p.out, "%s  %s\n", p.paint(faint, timetext.FineStamp(m.Time)), subject)
	line := func(name, text string) {
		fmt.Fprintf(p.out, "  %s %s\n", p.paint(faint, fmt.Sprintf("%-6s", name)), p.paint(plain, text))
	}
	if m.Broken == nil {
		line("id", m.Event.ID())
	}
	if id := m.TraceID(); id != "" {
		line("trace", id)
	}
	why := m.Dead()
	for _, name := range slices.Sorted(maps.Keys(why)) {
		line(strings.ToLower(strings.TrimPrefix(name, "Factro-Dead-")), why[name])
	}
	line("data", OneLine(m.Data))
}

// colorOf is the color of a subject: that of its kind, or of the outcome of a result.
func colorOf(subject string) string {
	tokens := strings.Split(subject, ".")
	kind := slices.IndexFunc(tokens, func(token string) bool { return slices.Contains([]string{"event", "change", "result", "dead"}, token) })
	switch {
	case kind < 0:
		return plain
	case tokens[kind] == "event":
		return news
	case tokens[kind] == "change":
		return moved
	case tokens[kind] == "dead":
		return bad
	}
	switch events.Outcome(tokens[len(tokens)-1]) {
	case events.Applied:
		return good
	case events.Deferred:
		return late
	case events.Rejected, events.Dead:
		return bad
	}
	return plain
}

// paint puts a text into a color. With colors the writer escapes nothing, so the text must not have control characters.
func (p MessagePrinter) paint(color, text string) string {
	if !p.color {
		return text
	}
	text = OneLine([]byte(text))
	if color == plain {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
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
