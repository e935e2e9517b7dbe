package dead

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

func newDeadShow() *cobra.Command {
	var f connect.Flags
	var quiet output.ProgressFlag
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show CLOUD/SEQ | ID",
		Short: "Show all details of a dead letter",
		Long: `Show all details of a dead letter: the original with its subject, headers and data, why it was given up, factro's status and
message, each attempt with its time and outcome, the traces, and what to check before you send it again.

Values that look like credentials are not shown.`,
		Example:           "  bridge dead show acme/17\n  bridge dead show --cloud acme 17 --json\n  bridge dead show order-4711",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNames(&f),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := readDeadName(args[0])
			if err != nil {
				return err
			}
			client, err := f.Dial()
			if err != nil {
				return err
			}
			defer client.Close()
			watched := quiet.Start(cmd)
			l, err := find(cmd.Context(), &f, client, n, watched)
			watched.Stop()
			if err != nil {
				return err
			}
			// Print the available part in any case.
			if l, err = deadletter.Original(cmd.Context(), client, events.Prefix(f.Prefix), l); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "only a part of it is shown: %v\n", err)
			}
			if asJSON {
				return printDeadJSON(cmd.OutOrStdout(), l, true)
			}
			return printDead(cmd.OutOrStdout(), l)
		},
	}
	f.Add(cmd)
	quiet.Add(cmd)
	f.OnlyCloudFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// checkHints say what to check before a dead letter is sent again, by its code.
var checkHints = map[string]string{
	events.CodeInvalid:          "The command itself is wrong and will fail each time. Send it with the right data: --set field=value.",
	events.CodeUnknownOperation: "There is no such operation. Drop it, and send the right operation.",
	events.CodePolicy:           "The policy of the bridge's operator refuses it. Change clouds[].policy and send it again, or drop it.",
	events.CodePurged:           "An operator took it out of the queue. Send it again if it is wanted after all.",
	events.CodeExpired:          "It was too late for its sender. Drop it, or send a new command.",
	events.CodeConflict:         "Its source and id were used before with other data. If you change its data, it gets a new id: --set field=value.",
	notbefore.CodeUnsupported:   "NATS could not keep it until its notbefore. Make sure that the server and the stream can, and send it again.",
	notbefore.CodeFull:          "Too many delayed commands waited. Wait until some are due, or raise nats.max_bytes.delayed and the stream's size, and send it again.",
	events.CodeUnknownKey:       "It names an object by an external key that the bridge does not know. Send it again once the object is created, or set the key: bridge keys set.",
	events.CodeRefused:          "factro refused it, with the message above. Fix the cause at factro and send it again, or fix the data: --set field=value.",
	events.CodeExhausted:        "factro failed on it each time. Check whether factro works now, and whether it has carried out the command nevertheless.",
	events.CodeAmbiguous:        "factro may have carried it out. First look for the object at factro: if it exists, drop the dead letter, otherwise send it again.",
	events.CodeUndeliverable: "Another consumer of commands gives up after some deliveries, and factro may have carried it out. Check factro first. Then find " +
		"out why there was no verdict, and remove the consumer's limit of deliveries.",
	"terminated": "Another program reads the queue of commands and terminates them. Find out which one; ask the sender for the command.",
	"too_large":  "The broker accepts no message of this size. Raise its max_payload or the stream's max_msg_size, then send it again.",
	"unusable":   "It could not become an event. If it is not from factro, drop it. If you can fix it, send it again: --set action=TaskCreated, --charset iso-8859-1.",
}

// check says what to check. For a create it also says where factro shows the object.
func check(l deadletter.Entry) string {
	op, _ := factro.Lookup(l.Operation)
	if l.Code == events.CodeAmbiguous && op.Search != nil {
		return checkHints[l.Code] + " " + op.Search.Check
	}
	return checkHints[l.Code]
}

// printDead prints a dead letter for people.
func printDead(out io.Writer, l deadletter.Entry) error {
	data, err := shownData(l)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "dead letter %s\n", l.Name())
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-9s %s\n", name, output.OneLine([]byte(value)))
		}
	}
	row("died", timetext.Stamp(l.Died))
	row("kind", l.Kind)
	row("cloud", l.Cloud)
	row("subject", l.Original)
	row("id", l.ID)
	row("original", l.Kept)
	row("code", l.Code)
	if l.Status != 0 {
		row("status", strconv.Itoa(l.Status))
	}
	row("reason", l.Reason)
	if l.Position != "" {
		row("position", l.Position+", delivered "+plural.Of(l.Deliveries, "time"))
	}
	row("trace", traceOf(l.Parent))
	if sender := l.TraceID(); sender != traceOf(l.Parent) {
		row("sender's", sender)
	}
	if len(l.Attempts) > 0 {
		fmt.Fprintln(out, "attempts")
	}
	for i, a := range l.Attempts {
		fmt.Fprintf(out, "  %2d  %s  %s  %s  trace %s\n", i+1, timetext.FineStamp(a.At), statusOf(a), orDash(output.OneLine([]byte(a.Error))),
			orDash(output.OneLine([]byte(a.Trace))))
	}
	printHeaders(out, "headers", shownHeaders(l))
	printHeaders(out, "headers of its request", l.Request)
	size := "data, " + plural.Of(len(l.Data), "byte")
	if l.Partial {
		size = fmt.Sprintf("data, the first %d of %s", len(l.Data), plural.Of(l.Size, "byte"))
	}
	fmt.Fprintf(out, "%s\n%s\n", size, indented(data))
	if text := check(l); text != "" {
		fmt.Fprintf(out, "what to check\n  %s\n", text)
	}
	return nil
}

func printHeaders(out io.Writer, title string, headers map[string][]string) {
	if len(headers) > 0 {
		fmt.Fprintln(out, title)
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, v := range headers[name] {
			fmt.Fprintf(out, "  %s: %s\n", output.OneLine([]byte(name)), output.OneLine([]byte(v)))
		}
	}
}

func statusOf(a ledger.Attempt) string {
	if a.Status == 0 {
		return "  -"
	}
	return strconv.Itoa(a.Status)
}

// shownData is the original's data without the secrets of stored webhooks.
func shownData(l deadletter.Entry) ([]byte, error) {
	data, err := io.ReadAll(translate.Redact(bytes.NewReader(l.Data)))
	if err != nil {
		return nil, fmt.Errorf("dead letter %s: %w", l.Name(), err)
	}
	return data, nil
}

// hiddenHeaderParts are parts of header names. The values of such headers are not shown.
var hiddenHeaderParts = []string{"authorization", "secret", "token", "password", "api-key", "apikey", "cookie", "credential"}

// shownHeaders are the headers of the original.
func shownHeaders(l deadletter.Entry) map[string][]string {
	h := l.OriginalHeader()
	for name := range h {
		lower := strings.ToLower(name)
		if slices.ContainsFunc(hiddenHeaderParts, func(part string) bool { return strings.Contains(lower, part) }) {
			h[name] = []string{"(not shown)"}
		}
	}
	return h
}

// indented indents JSON, and makes all other data safe for a terminal.
func indented(data []byte) string {
	var text bytes.Buffer
	if json.Indent(&text, data, "  ", "  ") == nil {
		return "  " + printable(text.Bytes())
	}
	if !utf8.Valid(data) {
		return fmt.Sprintf("  (not text) %q", data)
	}
	return "  " + printable(data)
}

// printable replaces control characters, but keeps line ends.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return ' '
		}
		return r
	}, string(text))
}
