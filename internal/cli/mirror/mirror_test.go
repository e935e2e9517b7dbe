package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

var readAt = time.Date(2026, 9, 1, 9, 30, 0, 0, time.UTC)

// engine writes states and changes of the cloud acme as a bridge's mirror does.
type engine struct {
	*natstest.Server

	t  *testing.T
	js jetstream.JetStream
}

func startEngine(t *testing.T) *engine {
	t.Helper()
	m := &engine{Server: natstest.Start(t), t: t}
	_, m.js = m.Connect(t)
	_, err := m.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: change.Bucket("factro", "acme"), History: 1})
	for name, subject := range map[string]string{"FACTRO_CHANGES_ACME": "factro.change.acme.>", "FACTRO_DEAD_ACME": "factro.dead.webhook.acme"} { // by this one a cloud is found
		_, made := m.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true})
		err = errors.Join(err, made)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// put writes the state of a task. Without data it is gone.
func (m *engine) put(id, data string, headers ...string) {
	m.t.Helper()
	msg := nats.NewMsg("$KV." + change.Bucket("factro", "acme") + "." + change.Key("acme", "task", id))
	msg.Data = []byte(data)
	msg.Header.Set(change.HeaderReadAt, readAt.Format(time.RFC3339Nano))
	msg.Header.Set(change.HeaderOrigin, change.OriginEvent)
	if data == "" {
		msg.Header.Set("KV-Operation", "DEL")
		msg.Header.Set(change.HeaderStatus, "404")
	}
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	if _, err := m.js.PublishMsg(m.t.Context(), msg); err != nil {
		m.t.Fatal(err)
	}
}

// changed publishes a change of a task.
func (m *engine) changed(what, id, data string, extensions ...string) {
	m.t.Helper()
	e := event.New()
	e.SetID("acme.task." + id + "." + what + strconv.Itoa(len(data)))
	e.SetSource("urn:factro:cloud:acme")
	e.SetType(change.TypePrefix + "task." + what)
	e.SetSubject(id)
	e.SetTime(readAt)
	e.SetDataContentType("application/json")
	e.DataEncoded = []byte(data)
	for i := 0; i < len(extensions); i += 2 {
		e.SetExtension(extensions[i], extensions[i+1])
	}
	msg, err := events.ToMsg(change.Subject("factro", "acme", "task", id, what), e)
	if err != nil {
		m.t.Fatal(err)
	}
	msg.Header.Set(change.HeaderStateFrom, "7")
	if _, err := m.js.PublishMsg(m.t.Context(), msg); err != nil {
		m.t.Fatal(err)
	}
}

// command makes a command with its flags for the engine's server.
func (m *engine) command(ctx context.Context, cmd *cobra.Command, out, stderr io.Writer, args ...string) error {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(out)
	cmd.SetErr(stderr)
	cmd.SetArgs(append(args, "--nats", m.URL()))
	return cmd.ExecuteContext(ctx)
}

func code(err error) int {
	if err == nil {
		return exit.OK
	}
	if e, ok := errors.AsType[*exit.Error](err); ok {
		return e.Code
	}
	return exit.Failure
}

func TestGet(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	const object = `{"id":"t-1", "title":"Größe <b>","n":1.50}`
	m.put("t-1", object, change.HeaderCause, "e-1 e-2", change.HeaderChange, "42")
	m.put("gone", "")
	m.put("hidden", "", change.HeaderStatus, "403")
	at := readAt.Local().Format(time.RFC3339)
	for name, tt := range map[string]struct {
		args      []string
		out, want string
		code      int
	}{
		"for people":    {[]string{"task", "t-1"}, "{\n  \"id\": \"t-1\",\n  \"title\": \"Größe <b>\",\n  \"n\": 1.50\n}\n", "", exit.OK},
		"for programs":  {[]string{"task", "t-1", "--json", "--cloud", "acme"}, object + "\n", "", exit.OK},
		"meta":          {[]string{"task", "t-1", "--meta"}, "task t-1 of acme\n  title     Größe <b>\n  read at   " + at + "\n  origin    event\n  events    e-1 e-2\n  revision  1\n  change    42\n", "", exit.OK},
		"none":          {[]string{"task", "t-2"}, "", `the mirror of acme has no task "t-2"`, exit.Rejected},
		"gone":          {[]string{"task", "gone"}, "", `the task "gone" of acme is gone: factro answered 404 at ` + at, exit.Rejected},
		"hidden":        {[]string{"task", "hidden"}, "", `the API key may not read the task "hidden" of acme`, exit.Rejected},
		"meta of it":    {[]string{"task", "gone", "--meta", "--json"}, `{"cloud":"acme","resource":"task","id":"gone","revision":2,"readAt":"2026-09-01T09:30:00Z","origin":"event","gone":true,"status":404}` + "\n", "", exit.Rejected},
		"no resource":   {[]string{"tusk", "t-1"}, "", `"tusk" is no resource of the mirror (did you mean task?)`, exit.WrongUsage},
		"another cloud": {[]string{"task", "t-1", "--cloud", "beta"}, "", `no bridge serves a cloud "beta"`, exit.Failure},
	} {
		var out bytes.Buffer
		err := m.command(t.Context(), NewGet(), &out, io.Discard, tt.args...)
		if code(err) != tt.code || out.String() != tt.out || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: code %d, %v\n%s", name, code(err), err, out.String())
		}
	}
	var out bytes.Buffer
	var s state
	err := errors.Join(m.command(t.Context(), NewGet(), &out, io.Discard, "task", "t-1", "--meta", "--json"), json.Unmarshal(out.Bytes(), &s))
	if err != nil || s.Change != 42 || !slices.Equal(s.Causes, []string{"e-1", "e-2"}) || !strings.Contains(out.String(), `"Größe <b>"`) {
		t.Errorf("got %s, %v", out.String(), err)
	}
}

// TestWithoutMirror: the cloud is there, and its mirror is not.
func TestWithoutMirror(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	if err := errors.Join(m.js.DeleteKeyValue(t.Context(), "FACTRO_STATE_ACME"), m.js.DeleteStream(t.Context(), "FACTRO_CHANGES_ACME")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"task", "t-1"}, {"task"}, {"task", "--changes"}} {
		cmd := NewWatch()
		if len(args) == 2 && args[1] == "t-1" {
			cmd = NewGet()
		}
		err := m.command(t.Context(), cmd, io.Discard, io.Discard, args...)
		if err == nil || !strings.Contains(err.Error(), "the cloud acme has no mirror: give a bridge of it the role mirror") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// watched runs a watch whose lines a test takes one by one.
type watched struct {
	t     *testing.T
	lines chan string
}

func (w *watched) Write(p []byte) (int, error) {
	w.lines <- strings.TrimSuffix(string(p), "\n")
	return len(p), nil
}

func (m *engine) watch(args ...string) *watched {
	w := &watched{t: m.t, lines: make(chan string, 64)}
	ctx, cancel := context.WithCancel(m.t.Context())
	done := make(chan error, 1)
	cmd := NewWatch()
	go func() { done <- m.command(ctx, cmd, w, w, append([]string{"task"}, args...)...) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
	})
	return w
}

// want takes the next lines, each without its time.
func (w *watched) want(lines ...string) {
	w.t.Helper()
	for _, want := range lines {
		select {
		case got := <-w.lines:
			got = strings.TrimPrefix(got, readAt.Local().Format(time.RFC3339)+"  ")
			if strings.Join(strings.Fields(got), " ") != want {
				w.t.Fatalf("got  %s\nwant %s", got, want)
			}
		case <-time.After(30 * time.Second):
			w.t.Fatalf("%s does not come", want)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	m.put("t-1", `{"title":"Prüfung","taskState":"planned","isMilestone":true}`)
	m.put("t-2", `{"title":"Abnahme","taskState":"review"}`)
	m.put("t-0", "")
	all := m.watch()
	all.want("present t-1 Prüfung", "present t-2 Abnahme", "bridge: 2 objects; what changes follows")
	some := m.watch("--where", "taskState=review", "--where", "isMilestone=", "--where", "titel=")
	some.want("bridge: no field of a task is known as titel (did you mean title?)", "present t-2 Abnahme", "bridge: 1 object; what changes follows")
	m.put("t-1", `{"title":"Prüfung","taskState":"review"}`)
	all.want("changed t-1 Prüfung")
	some.want("new t-1 Prüfung")
	m.put("t-2", `{"title":"Abnahme 2","taskState":"done"}`)
	all.want("changed t-2 Abnahme 2")
	some.want("gone t-2 Abnahme 2")
	m.put("t-2", "")
	all.want("gone t-2 Abnahme 2")
	m.put("t-3", `{"firstName":"Jörg","lastName":"Groß"}`)
	all.want("new t-3 Jörg Groß")
	m.put("t-1", "")
	all.want("gone t-1 Prüfung")
	some.want("gone t-1 Prüfung")
}

func TestWatchJSON(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	m.put("t-1", `{"title":"<b>"}`, change.HeaderCause, "e-1")
	m.watch("--json").want(
		`{"what":"present","cloud":"acme","resource":"task","id":"t-1","revision":1,"readAt":"2026-09-01T09:30:00Z","origin":"event","causes":["e-1"],"object":{"title":"<b>"}}`,
		"bridge: 1 object; what changes follows",
	)
}

func TestWatchChanges(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	m.put("t-1", `{"title":"Prüfung","taskState":"done"}`)
	all, done, programs := m.watch("--changes"), m.watch("--changes", "--where", "taskState=done"), m.watch("--changes", "--json")
	natstest.Eventually(t, "they subscribe", func() bool {
		s, err := m.js.Stream(t.Context(), "FACTRO_CHANGES_ACME")
		return err == nil && s.CachedInfo().State.Consumers == 3
	})
	m.changed(change.Created, "t-2", `{"before":{},"after":{"title":"Abnahme"},"changed":["title"]}`)
	all.want("created t-2 Abnahme")
	programs.want(`{"what":"created","cloud":"acme","resource":"task","id":"t-2","time":"2026-09-01T09:30:00Z","before":{},"after":{"title":"Abnahme"},"changed":["title"],"stateFrom":7,"sequence":1}`)
	m.changed(change.Updated, "t-1", `{"before":{"taskState":"review","n":1},"after":{"taskState":"done"},"changed":["n","taskState"]}`,
		attr.Cause, "c-1", attr.Sender, "urn:example:billing", attr.Certainty, "exact")
	for _, w := range []*watched{all, done} {
		w.want("updated t-1 Prüfung", "n: 1 -> absent", `taskState: "review" -> "done"`, "by the command c-1 urn:example:billing (exact)")
	}
	m.changed(change.Deleted, "t-1", `{"before":{"title":"Prüfung"},"after":{},"changed":["title"],"status":403}`, attr.Origin, "verify")
	all.want("deleted t-1 Prüfung", "the API key may not read it any more", "no event announced it")
}

func TestWatchMistakes(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	for _, args := range [][]string{{"tusk"}, {"task", "--where", "title"}, {"task", "--where", "=x"}} {
		if err := m.command(t.Context(), NewWatch(), io.Discard, io.Discard, args...); code(err) != exit.WrongUsage {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	m.put("t-1", `{"title":"Prüfung"}`)
	m.put("x-2", `{"title":"Abnahme"}`)
	m.put("t-3", "")
	for line, want := range map[string]string{
		"get\x00":                                 "absence appointment checklist-entry",
		"get\x00task\x00t-":                       "t-1\tPrüfung :",
		"get\x00task\x00t-1\x00":                  ":",
		"watch\x00":                               "package project task team user work-record :",
		"watch\x00task\x00--where\x00ta":          "taskState=",
		"watch\x00task\x00--where\x00taskState=p": "taskState=planned",
	} {
		root := &cobra.Command{Use: "bridge"}
		root.AddCommand(NewGet(), NewWatch())
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(io.Discard)
		words := strings.Split(line, "\x00")
		args := append([]string{"__complete", words[0], "--nats", m.URL()}, words[1:]...)
		root.SetArgs(args)
		err := root.ExecuteContext(t.Context())
		if got := strings.Join(strings.Fields(out.String()), " "); err != nil || !strings.Contains(got, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("%q: %v\n%s", line, err, out.String())
		}
	}
}

// TestTitles: the objects of all resources have a field that names them, or none does.
func TestTitles(t *testing.T) {
	t.Parallel()
	none := []string{"absence"}
	for _, resource := range contract.Mirrored {
		fields := map[string]json.RawMessage{}
		for name := range schemaOf(resource) {
			fields[name] = json.RawMessage(`"the ` + name + `"`)
		}
		if len(fields) == 0 {
			t.Errorf("no field of %s is known", resource)
		}
		if got := titleOf(fields); (got == "") != slices.Contains(none, resource) {
			t.Errorf("%s is called %q", resource, got)
		}
	}
	if got := fmt.Sprint(titleOf(nil), titleOf(map[string]json.RawMessage{"title": json.RawMessage("7"), "name": json.RawMessage(`"a\nb"`)})); got != "a b" {
		t.Errorf("got %q", got)
	}
}

// TestWatchOutage: it says that the connection is away and that it is back, and prints what was missed.
func TestWatchOutage(t *testing.T) {
	t.Parallel()
	m := startEngine(t)
	m.put("t-1", `{"title":"Prüfung"}`)
	w := m.watch()
	w.want("present t-1 Prüfung", "bridge: 1 object; what changes follows")
	m.Stop()
	w.want("bridge: the connection to NATS is lost; reconnecting")
	m.Start()
	natstest.Eventually(t, "the broker takes messages", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.js.AccountInfo(ctx)
		return err == nil
	})
	m.put("t-1", `{"title":"Prüfung 2"}`)
	var got []string
	for len(got) < 2 {
		select {
		case line := <-w.lines:
			got = append(got, strings.Join(strings.Fields(line)[1:], " "))
		case <-time.After(30 * time.Second):
			t.Fatalf("there is only %v", got)
		}
	}
	slices.Sort(got)
	if want := []string{"changed t-1 Prüfung 2", "connected to NATS again; what was missed follows"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
