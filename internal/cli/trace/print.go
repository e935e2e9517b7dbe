package trace

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/timeline"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// printer prints timelines for people.
type printer struct {
	out        io.Writer
	manyClouds bool

	last time.Time // of the entry before
	err  error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

// timeline prints all that was found, what was read for it, and what to do next.
func (p *printer) timeline(t *timeline.Timeline, q timeline.Question, took time.Duration) error {
	if t.Left > 0 {
		p.printf("… %s before; --limit 0 shows them\n", plural.Of(t.Left, "step"))
	}
	for _, e := range t.Entries {
		p.entry(e)
	}
	if n := len(t.Entries); n > 0 {
		first, last := t.Entries[0].Time, t.Entries[n-1].Time
		p.printf("\n%s in %s; %s is %s\n", plural.Of(n, "step"), between(last.Sub(first)), t.ID, cmp.Or(article(t.Kinds), "mentioned there"))
	} else {
		p.printf("nothing is there of %s\n", t.ID)
	}
	p.looked(t, took)
	for _, hint := range hints(t, q) {
		p.printf("%s\n", hint)
	}
	return p.err
}

// entry prints one step in a line: when, how long after the one before, what, and where that is recorded.
func (p *printer) entry(e timeline.Entry) {
	after := ""
	if !p.last.IsZero() {
		after = "+" + between(e.Time.Sub(p.last))
	}
	p.last = e.Time
	cloud := ""
	if p.manyClouds {
		cloud = e.Cloud + "  "
	}
	p.printf("%s  %9s  %s%-8s  %s%s\n", timetext.FineStamp(e.Time), after, cloud, e.Step, e.Text, details(e))
}

// details are the ids of a step and its place.
func details(e timeline.Entry) string {
	var all []string
	add := func(name, value string) {
		if value != "" {
			all = append(all, name+" "+value)
		}
	}
	if e.Step == timeline.Changed {
		add("events", strings.Join(e.Events, " "))
	}
	add("event", e.Event)
	add("command", e.Command)
	add("source", e.Source)
	if e.Step == timeline.Resulted {
		if e.Status != 0 {
			all = append(all, fmt.Sprintf("status %d", e.Status))
		}
		all = append(all, plural.Of(e.Attempts, "call"))
		if e.Millis > 0 {
			all = append(all, "after "+between(time.Duration(e.Millis)*time.Millisecond))
		}
	}
	add("trace", e.Trace)
	text := ""
	if len(all) > 0 {
		text = "  (" + strings.Join(all, ", ") + ")"
	}
	if e.Stream != "" {
		text += fmt.Sprintf("  %s:%d %s", e.Stream, e.Sequence, e.Subject)
	}
	return text
}

// between is a duration with the precision of the times.
func between(d time.Duration) string {
	if d < time.Hour {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// article names what an id is.
func article(kinds []string) string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		switch kind {
		case timeline.KindEntity:
			names[i] = "an object"
		case timeline.KindEvent:
			names[i] = "an event"
		case timeline.KindKey:
			names[i] = "an external key"
		default:
			names[i] = "a " + kind
		}
	}
	return strings.Join(names, " and ")
}

// looked says what was read. If nothing was found, it says so of each stream.
func (p *printer) looked(t *timeline.Timeline, took time.Duration) {
	var messages uint64
	streams := map[string]bool{}
	for _, l := range t.Looked {
		if !l.Missing && l.Error == "" {
			messages += l.Messages
			streams[l.Stream] = true
		}
	}
	p.printf("read %s of %s in %s\n", plural.Of(messages, "message"), plural.Of(len(streams), "stream"), between(took))
	for _, l := range t.Looked {
		where := l.Stream
		if l.Subject != "" {
			where += " " + l.Subject
		}
		switch {
		case l.Error != "":
			p.printf("  ? %s: not read\n", where)
		case l.Missing:
			if len(t.Entries) == 0 {
				p.printf("  - %s: there is no such stream\n", where)
			}
		case l.Cut && l.Since != nil:
			p.printf("  %s: the newest %s, back to %s; older ones were not read (--most)\n", where, plural.Of(l.Messages, "message"), timetext.Stamp(*l.Since))
		case l.Since != nil && !l.Whole:
			p.printf("  %s: back to %s; --since reads further\n", where, timetext.Stamp(*l.Since))
		case len(t.Entries) > 0:
		case l.Since == nil:
			p.printf("  %s: all of it\n", where)
		default:
			p.printf("  %s: all of it, back to %s\n", where, timetext.Stamp(*l.Since))
		}
	}
}

// hints are what to do next.
func hints(t *timeline.Timeline, q timeline.Question) []string {
	var all []string
	ended, open := map[string]bool{}, map[string]timeline.Entry{}
	for _, e := range t.Entries {
		switch e.Step {
		case timeline.Dead:
			all = append(all, "to look at the dead letter: bridge dead show "+e.Letter)
		case timeline.Resulted:
			ended[e.Source+" "+e.Command] = true
		case timeline.Waits, timeline.Sent, timeline.Redriven, timeline.Delayed:
			open[e.Source+" "+e.Command] = e
		}
	}
	for command, e := range open {
		switch {
		case ended[command]:
		case e.Step == timeline.Delayed:
			all = append(all, fmt.Sprintf("to cancel it: bridge cancel %s --cloud %s", e.Command, e.Cloud))
		case e.Code == events.CodePaused:
			all = append(all, "to see who has paused the commands: bridge pauses --cloud "+e.Cloud)
		default:
			all = append(all, "to see what holds commands back: bridge status --cloud "+e.Cloud)
		}
	}
	if len(t.Entries) == 0 && q.Source == "" && (q.Kind == "" || q.Kind == timeline.KindCommand) {
		all = append(all, "the ledger finds a command by its id and its source: give --source, if it is a command")
	}
	slices.Sort(all)
	return slices.Compact(all)
}
