package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// tail is a kind of stream that can be watched.
type tail struct {
	name   string
	stream func(events.Prefix, string) string
	at     int      // where the cloud stands in its subjects
	forms  []string // of the filters for a cloud
}

var tails = []tail{
	{"events", events.Prefix.EventStream, 2, []string{"event.%s.>"}},
	{"results", events.Prefix.ResultStream, 2, []string{"result.%s.>"}},
	{"dead", events.Prefix.DeadStream, 3, []string{"dead.command.%s.>", "dead.webhook.%s"}},
}

func newTail() *cobra.Command {
	var f natsFlags
	var since, filter string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail events|results|dead",
		Short: "Print events, results or dead letters as they come",
		Long: `Print what comes into the streams of all clouds that there are at the beginning, or into that of one cloud, until
interrupted. It reads beside all others: nobody misses anything because of it. To find the clouds needs the right to list
streams; --cloud, or a --filter that names a cloud, needs only the cloud's.

--json prints one JSON object a line: subject, time and trace id, with the event in the JSON form of CloudEvents.`,
		Example: `  bridge tail events
  bridge tail events --since 1h --filter 'factro.event.acme.task.*.TaskStateChanged'
  bridge tail results --cloud acme --json`,
		ValidArgs: []string{"events", "results", "dead"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := moment(since, time.Now())
			if err != nil {
				return usage("--since: %w", err)
			}
			client, err := f.dial()
			if err != nil {
				return err
			}
			defer client.Close()
			go client.Outages(cmd.Context(), func(up bool) {
				if up {
					fmt.Fprintln(cmd.ErrOrStderr(), "bridge: connected to NATS again; what came meanwhile follows")
				} else {
					fmt.Fprintln(cmd.ErrOrStderr(), "bridge: the connection to NATS is lost; trying again")
				}
			})
			return f.tail(cmd.Context(), client, args[0], filter, from, func(m bus.Message) {
				if asJSON {
					printJSON(cmd.OutOrStdout(), m)
				} else {
					printMessage(cmd.OutOrStdout(), m)
				}
			})
		},
	}
	f.add(cmd)
	f.onlyCloudFlag(cmd)
	cmd.Flags().StringVar(&since, "since", "", "begin at this `time`: 2h (ago), 7d, 2026-03-01, or 2026-03-01T12:00:00Z; without it, with the next one")
	cmd.Flags().StringVar(&filter, "filter", "", "only this `subject`, wildcards allowed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// tail follows one kind of stream, of each cloud that is meant.
func (f *natsFlags) tail(ctx context.Context, client *bus.Client, kind, filter string, since time.Time, each func(bus.Message)) error {
	p := events.Prefix(f.prefix)
	t := tails[slices.IndexFunc(tails, func(t tail) bool { return t.name == kind })]
	var clouds []string
	if named := strings.Split(filter, "."); f.cloud == "" && len(named) > t.at && events.Token(named[t.at]) == named[t.at] {
		clouds = []string{named[t.at]} // the filter says it
	}
	if clouds == nil {
		var err error
		if clouds, err = f.clouds(ctx, client); err != nil {
			return err
		}
	}
	var printing sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, cloud := range clouds {
		filters := []string{filter}
		if filter == "" {
			filters = nil
			for _, form := range t.forms {
				filters = append(filters, f.prefix+"."+fmt.Sprintf(form, cloud))
			}
		}
		group.Go(func() error {
			err := client.Tail(ctx, t.stream(p, cloud), filters, since, func(m bus.Message) {
				printing.Lock()
				defer printing.Unlock()
				each(m)
			})
			return f.noStream(ctx, client, cloud, err)
		})
	}
	return group.Wait()
}

// printMessage prints a message for people: a line to scan, and the data below it.
func printMessage(out io.Writer, m bus.Message) {
	fmt.Fprintf(out, "%s  %s\n", fineStamp(m.Time), m.Subject)
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
		Event   json.RawMessage   `json:"event,omitempty"`
		Dead    map[string]string `json:"dead,omitempty"` // why it is a dead letter
		Data    []byte            `json:"data,omitempty"` // in base64, if it is no event
	}{Subject: m.Subject, Trace: m.TraceID(), Dead: m.Dead()}
	if !m.Time.IsZero() {
		line.Time = &m.Time
	}
	// In the structured mode of our own codec, which writes JSON as JSON whatever parameters its content type has.
	if structured, err := events.ToStructuredMsg(m.Subject, m.Event); m.Broken == nil && err == nil {
		line.Event = json.RawMessage(structured.Data)
	} else {
		line.Data = m.Data
	}
	_ = json.NewEncoder(out).Encode(line) // a closed pipe ends the program anyway
}
