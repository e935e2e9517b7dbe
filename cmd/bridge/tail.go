package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// tails are the streams that can be watched.
var tails = []struct {
	name   string
	stream func(events.Prefix) string
	filter string
}{
	{"events", events.Prefix.EventStream, "event"},
	{"results", events.Prefix.ResultStream, "result"},
	{"dead", events.Prefix.DeadStream, "dead"},
}

func newTail() *cobra.Command {
	var f natsFlags
	var since time.Duration
	var filter string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail events|results|dead",
		Short: "Print events, results or dead letters as they come",
		Long: `Print what comes into a stream, until interrupted. It reads beside all others: nobody misses anything because of it.

--json prints one JSON object a line: subject, time and trace id, with the event in the JSON form of CloudEvents.`,
		Example: `  bridge tail events
  bridge tail events --since 1h --filter 'factro.event.*.task.*.TaskStateChanged'
  bridge tail results --json`,
		ValidArgs: []string{"events", "results", "dead"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.dial()
			if err != nil {
				return err
			}
			defer client.Close()
			var from time.Time
			if since > 0 {
				from = time.Now().Add(-since)
			}
			for _, t := range tails {
				if t.name != args[0] {
					continue
				}
				if filter == "" {
					filter = f.prefix + "." + t.filter + ".>"
				}
				return client.Tail(cmd.Context(), t.stream(events.Prefix(f.prefix)), filter, from, func(m bus.Message) {
					if asJSON {
						printJSON(cmd.OutOrStdout(), m)
					} else {
						printMessage(cmd.OutOrStdout(), m)
					}
				})
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().DurationVar(&since, "since", 0, "begin this long ago; without it, with the next one")
	cmd.Flags().StringVar(&filter, "filter", "", "only this `subject`, wildcards allowed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printMessage prints a message for people: a line to scan, and the data below it.
func printMessage(out io.Writer, m bus.Message) {
	fmt.Fprintf(out, "%s  %s\n", m.Time.Local().Format("15:04:05.000"), m.Subject)
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
	fmt.Fprintf(out, "  data   %s\n", oneLine(m.Data))
}

// oneLine keeps a terminal in order whatever a body holds.
func oneLine(data []byte) string {
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

// printJSON prints a message for machines.
func printJSON(out io.Writer, m bus.Message) {
	line := struct {
		Subject string            `json:"subject"`
		Time    *time.Time        `json:"time,omitempty"`
		Trace   string            `json:"trace,omitempty"`
		Event   any               `json:"event,omitempty"`
		Dead    map[string]string `json:"dead,omitempty"` // why it is a dead letter
		Data    []byte            `json:"data,omitempty"` // in base64, if it is no event
	}{Subject: m.Subject, Trace: m.TraceID(), Dead: m.Dead()}
	if !m.Time.IsZero() {
		line.Time = &m.Time
	}
	if m.Broken == nil {
		line.Event = m.Event
	} else {
		line.Data = m.Data
	}
	_ = json.NewEncoder(out).Encode(line) // a closed pipe ends the program anyway
}
