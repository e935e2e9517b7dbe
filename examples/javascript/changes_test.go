package javascript

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

const (
	cloud  = "acme"
	prefix = events.Prefix(events.DefaultPrefix)
	readAt = "2026-03-01T08:00:00Z"
)

// mirror writes changes and the state as the bridge does.
type mirror struct {
	server *natstest.Server
	js     jetstream.JetStream
	state  jetstream.KeyValue
}

func startMirror(t *testing.T) *mirror {
	t.Helper()
	if nodeAbsent != "" {
		t.Skipf("DID NOT RUN: node: %s, so nothing is proven about examples/javascript", nodeAbsent)
	}
	m := &mirror{server: natstest.Start(t)}
	_, m.js = m.server.Connect(t)
	var err error
	if m.state, err = m.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: change.Bucket(prefix, cloud), History: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err = m.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: change.Stream(prefix, cloud), Subjects: []string{string(prefix) + ".change." + cloud + ".>"},
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// fields are those of an object.
type fields map[string]any

// data is the data of a change.
type data struct {
	Before  fields   `json:"before"`
	After   fields   `json:"after"`
	Changed []string `json:"changed"`
	Status  int      `json:"status,omitempty"`
}

// publish publishes a change. Extensions come in pairs.
func (m *mirror) publish(t *testing.T, resource, id, what string, d data, extensions ...string) {
	t.Helper()
	all := maps.Clone(d.After)
	maps.Copy(all, d.Before)
	d.Changed = slices.Sorted(maps.Keys(all))
	e := event.New()
	e.SetID(fmt.Sprintf("%s.%s.%s.0.%016x", cloud, resource, id, len(all)))
	e.SetSource("urn:factro:cloud:" + cloud)
	e.SetType("com.factro.change." + resource + "." + what)
	e.SetSubject(id)
	at, err := time.Parse(time.RFC3339, readAt)
	if err != nil {
		t.Fatal(err)
	}
	e.SetTime(at)
	for i := 0; i < len(extensions); i += 2 {
		e.SetExtension(extensions[i], extensions[i+1])
	}
	if err := e.SetData(event.ApplicationJSON, d); err != nil {
		t.Fatal(err)
	}
	msg, err := events.ToMsg(change.Subject(prefix, cloud, resource, id, what), e)
	if err != nil {
		t.Fatal(err)
	}
	msg.Header.Set(change.HeaderStateFrom, "0")
	if _, err := m.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

func (m *mirror) put(t *testing.T, resource, id string, object fields) {
	t.Helper()
	text, err := json.Marshal(object)
	if err == nil {
		_, err = m.state.Put(t.Context(), change.Key(cloud, resource, id), text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Each kind of change is a line, and a line break in a value does not make two.
func TestLines(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	m.put(t, "task", "4711", fields{"title": "Prüfung", "taskState": "open"})
	m.publish(t, "task", "4711", change.Created, data{Before: fields{}, After: fields{"title": "Prüfung", "taskState": "open"}})
	m.publish(t, "task", "4711", change.Updated, data{Before: fields{"taskState": "open"}, After: fields{"endDate": "2026-04-01", "taskState": "review"}})
	m.publish(t, "task", "4711", change.Updated, data{Before: fields{"title": "Prüfung"}, After: fields{"title": "Prüfung\nder Brücke"}},
		"factrocause", "c-1", "factrosender", "urn:example:büro 1", "factrocertainty", "exact")
	m.publish(t, "company", "a b", change.Updated, data{Before: fields{"city": "Bochum"}, After: fields{"city": "Köln"}})
	m.publish(t, "task", "4711", change.Deleted, data{Before: fields{"title": "Prüfung", "taskState": "review"}, After: fields{}, Status: 404})
	p := start(t, m.server, cloud)
	for _, want := range []string{
		`task 4711 "Prüfung" created`,
		`task 4711 "Prüfung" updated endDate: nothing -> "2026-04-01", taskState: "open" -> "review"`,
		`task 4711 "Prüfung\nder Brücke" updated title: "Prüfung" -> "Prüfung\nder Brücke" by urn:example:büro 1`,
		`company a b "" updated city: "Bochum" -> "Köln"`,
		`task 4711 "Prüfung" deleted (factro answered 404)`,
	} {
		if got := p.next(t); got != readAt+" "+want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if rest := p.stop(t); len(rest) > 0 {
		t.Errorf("then it prints %q", rest)
	}
}

// A program that is killed goes on where it was, and so does one whose server restarts.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	const changes = 40
	for i := range changes {
		m.publish(t, "task", fmt.Sprint(i), change.Created, data{Before: fields{}, After: fields{"title": fmt.Sprint("Nr. ", i)}})
	}
	var got []string
	p := start(t, m.server, cloud)
	for range changes / 4 {
		got = append(got, p.next(t))
	}
	got = append(got, p.kill()...)
	p = start(t, m.server, cloud)
	got = append(got, p.next(t))
	m.server.Restart()
	last := fmt.Sprint("Nr. ", changes-1)
	for !strings.Contains(got[len(got)-1], last) {
		got = append(got, p.next(t))
	}
	got = append(got, p.stop(t)...)
	t.Logf("%d lines of %d changes", len(got), changes)
	if got = slices.Compact(got); len(got) != changes { // what was printed and not acknowledged comes again
		t.Errorf("got %d changes, want %d: %q", len(got), changes, got)
	}
}

// With a filter the program prints the changes that match it, by a consumer of its own.
func TestFilter(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	m.publish(t, "task", "1", change.Created, data{Before: fields{}, After: fields{"title": "eins"}})
	m.publish(t, "project", "2", change.Created, data{Before: fields{}, After: fields{"title": "zwei"}})
	m.publish(t, "task", "3", change.Deleted, data{Before: fields{"title": "drei"}, After: fields{}})
	p := start(t, m.server, cloud, "deleted", change.Filter(prefix, cloud, "task", events.Any, change.Deleted))
	if got, want := p.next(t), `task 3 "drei" deleted`; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	p.stop(t)
}

// Without the rights to look, or without a mirror, the program says why it ends.
func TestNoMirror(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	if err := m.js.DeleteStream(t.Context(), change.Stream(prefix, cloud)); err != nil {
		t.Fatal(err)
	}
	p := start(t, m.server, cloud)
	for range p.lines {
		t.Error("it prints something")
	}
	if err := p.cmd.Wait(); err == nil || !strings.Contains(p.stderr.String(), "stream not found") {
		t.Errorf("%v: %s", err, p.stderr)
	}
}

// The page installs what the program imports.
func TestREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var of struct{ Dependencies map[string]string }
	if err := json.Unmarshal(manifest, &of); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^npm install (.*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("README.md has no line that begins with npm install")
	}
	var want []string
	for name, version := range of.Dependencies {
		major, _, _ := strings.Cut(version, ".")
		want = append(want, name+"@"+major)
	}
	got := strings.Fields(string(line[1]))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the page installs %v, the tests %v", got, want)
	}
}
