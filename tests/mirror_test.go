package tests

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/diff"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// mirrored is a bridge with a mirror, the factro that it mirrors, and the NATS where the copy is.
type mirrored struct {
	t  testing.TB
	f  *factro
	b  *bridge
	js jetstream.JetStream
	kv jetstream.KeyValue
}

func startMirror(t *testing.T, cfg sim.Config, settings string) *mirrored {
	t.Helper()
	return mirrorOf(t, startFactro(t, cfg), settings)
}

// mirrorOf starts a mirror of a factro that may have something.
func mirrorOf(t *testing.T, f *factro, settings string) *mirrored {
	t.Helper()
	n := natstest.Start(t)
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, roles: "ingress, egress, query, mirror", more: settings}).start()
	b.register(f, "acme")
	_, js := n.Connect(t)
	m := &mirrored{t: t, f: f, b: b, js: js}
	waitFor(t, "the first snapshot is complete", func() bool { return strings.Contains(b.log.String(), "the mirror has read all lists") })
	m.open()
	return m
}

// open opens the bucket.
func (m *mirrored) open() {
	m.t.Helper()
	var err error
	if m.kv, err = m.js.KeyValue(m.t.Context(), change.Bucket(prefix, "acme")); err != nil {
		m.t.Fatal(err)
	}
}

// call calls the Core API, as a person in factro's web UI would have it do.
func (m *mirrored) call(method, path string, body any) map[string]any {
	m.t.Helper()
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			m.t.Fatal(err)
		}
	}
	answer, status := m.raw(method, path, data)
	if status/100 != 2 {
		m.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	var object map[string]any
	_ = json.Unmarshal(answer, &object) // an answer may be empty
	return object
}

func (m *mirrored) raw(method, path string, data []byte) (answer []byte, status int) {
	m.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, m.f.url+path, bytes.NewReader(data))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Authorization", apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return answer, resp.StatusCode
}

// state is the copy: the objects by their keys.
func (m *mirrored) state() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	w, err := m.kv.WatchAll(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = w.Stop() }()
	for e := range w.Updates() {
		if e == nil {
			return all
		}
		if e.Operation() == jetstream.KeyValuePut {
			all[e.Key()] = string(e.Value())
		}
	}
	return all
}

// paths are where the Core API shows one object.
var paths = map[string]string{"task": "/tasks/", "package": "/packages/", "project": "/projects/"}

// truth is what factro has, read one by one.
func (m *mirrored) truth() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	for kind, path := range paths {
		for _, o := range m.f.Objects(kind) {
			id := fmt.Sprint(o["id"])
			text, status := m.raw(http.MethodGet, path+id, nil)
			if status == http.StatusOK {
				all[change.Key("acme", kind, id)] = string(text)
			}
		}
	}
	return all
}

// inStep waits until the copy is what factro has, byte for byte.
func (m *mirrored) inStep() map[string]string {
	m.t.Helper()
	var state, truth map[string]string
	m.t.Cleanup(func() {
		for key := range differing(state, truth) {
			m.t.Logf("%s: the copy is %s, factro has %s", key, cmp.Or(state[key], "not there"), cmp.Or(truth[key], "nothing"))
		}
	})
	waitFor(m.t, "the copy is what factro has", func() bool {
		state, truth = m.state(), m.truth()
		return maps.Equal(state, truth)
	})
	return state
}

// differing are the keys whose values differ.
func differing(a, b map[string]string) map[string]bool {
	keys := map[string]bool{}
	for key, text := range a {
		if b[key] != text {
			keys[key] = true
		}
	}
	for key, text := range b {
		if a[key] != text {
			keys[key] = true
		}
	}
	return keys
}

type changed struct {
	diff.Difference
	what, key, id string
	header        map[string][]string
}

// changes are all changes so far.
func (m *mirrored) changes() (all []changed) {
	m.t.Helper()
	for _, msg := range read(m.t, m.js, change.Stream(prefix, "acme"), "factro.change.acme.>") {
		c := changed{header: msg.header, id: msg.event.ID()}
		tokens := strings.Split(msg.subject, ".")
		c.key, c.what = strings.Join(tokens[2:5], "."), tokens[5]
		if err := json.Unmarshal(msg.event.Data(), &c.Difference); err != nil {
			m.t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestMirror: the copy is what factro has, and the changes lead from the first copy to the last one.
func TestMirror(t *testing.T) {
	t.Parallel()
	m := startMirror(t, sim.Config{Examples: true}, "mirror: {settle: 50ms}")
	before := m.inStep()
	if len(before) == 0 || len(m.changes()) != 0 {
		t.Errorf("the first copy has %d objects, and led to %d changes", len(before), len(m.changes()))
	}
	task := m.call(http.MethodPost, "/tasks", map[string]any{"title": "Prüfung", "targetParentId": m.f.demo.Package})
	id := fmt.Sprint(task["id"])
	m.inStep()
	m.call(http.MethodPut, "/tasks/"+id, map[string]any{"title": "Prüfung 2", "description": "mehr"})
	m.inStep()
	m.call(http.MethodDelete, "/tasks/"+id, nil)
	after := m.inStep()
	var whats []string
	for _, c := range m.changes() {
		if c.key == change.Key("acme", "task", id) {
			whats = append(whats, c.what+" "+strings.Join(c.Changed, ","))
		}
	}
	if len(whats) != 3 || whats[1] != "updated description,title" || !strings.HasPrefix(whats[0], "created ") || !strings.HasPrefix(whats[2], "deleted ") {
		t.Errorf("the changes of the task are %q", whats)
	}
	m.fold(before, after, m.changes())
}

// TestMirrorLate: factro may show changes later than its webhooks announce them. The copy is in step without a comparison.
func TestMirrorLate(t *testing.T) {
	t.Parallel()
	m := startMirror(t, sim.Config{Examples: true}, "mirror: {settle: 50ms, recheck: 4s}")
	m.inStep()
	if err := m.f.SetDelivery(sim.Delivery{ReadableAfter: 1500 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	shows := func(id, title string) {
		t.Helper()
		waitFor(t, "factro shows the title "+title, func() bool {
			text, status := m.raw(http.MethodGet, "/tasks/"+id, nil)
			return title == "" && status == http.StatusNotFound || title != "" && bytes.Contains(text, []byte(`"`+title+`"`))
		})
		m.inStep()
	}
	id := fmt.Sprint(m.call(http.MethodPost, "/tasks", map[string]any{"title": "spät", "targetParentId": m.f.demo.Package})["id"])
	shows(id, "spät")
	m.call(http.MethodPut, "/tasks/"+id, map[string]any{"title": "später"})
	shows(id, "später")
	m.call(http.MethodDelete, "/tasks/"+id, nil)
	shows(id, "")
	for _, c := range m.changes() {
		if c.header["ce-factroorigin"] != nil {
			t.Errorf("%s of %s was found by a comparison", c.what, c.key)
		}
	}
}

// TestMirrorCommands: an operator sees how far the mirror is, what differs from factro, and repairs it.
func TestMirrorCommands(t *testing.T) {
	t.Parallel()
	m := startMirror(t, sim.Config{Examples: true}, "mirror: {settle: 50ms}")
	m.inStep()
	command := func(code int, want string, args ...string) {
		t.Helper()
		out, errOut, got := bridgeCommand(t, append(append([]string{"mirror"}, args...), "--config", m.b.configFile)...)
		if got != code || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, want %d with %q: %s%s", args, got, code, want, out, errOut)
		}
	}
	command(0, "resources    project, package, task", "status")
	command(0, "none differed", "diff")
	if err := m.f.SetDelivery(sim.Delivery{Loss: 1}); err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(m.call(http.MethodPost, "/tasks", map[string]any{"title": "ohne Webhook", "targetParentId": m.f.demo.Package})["id"])
	command(3, "task "+id, "diff")
	command(0, `"differences":1`, "verify", "--json")
	m.inStep()
	command(0, "none differed", "diff")
	if all := m.changes(); len(all) != 1 || all[0].key != change.Key("acme", "task", id) || all[0].header["ce-factroorigin"][0] != change.OriginVerify {
		t.Errorf("the changes are %+v", all)
	}
}

// TestMirrorEcho: a change says which command of ours has made it, and that of a person does not.
func TestMirrorEcho(t *testing.T) {
	t.Parallel()
	m := startMirror(t, sim.Config{Examples: true}, "")
	client := events.NewClient(m.js, "acme")
	from := events.WithSource("urn:example:billing")
	created, err := client.Do(t.Context(), payload.CreateTask{Title: "von uns", TargetParentID: m.f.demo.Package}, events.WithID("c-1"), from)
	if err != nil {
		t.Fatal(err)
	}
	key := change.Key("acme", "task", created.Resource.ID)
	ofTask := func(n int) changed {
		t.Helper()
		var found []changed
		waitFor(t, fmt.Sprint(n, " changes of the task"), func() bool {
			found = slices.DeleteFunc(m.changes(), func(c changed) bool { return c.key != key })
			return len(found) == n
		})
		return found[n-1]
	}
	want := func(c changed, cause, certainty string) {
		t.Helper()
		get := func(name string) string { return strings.Join(c.header[name], "") }
		if get("ce-factrocause") != cause || get("ce-factrocertainty") != certainty || cause != "" && get("ce-factrosender") != "urn:example:billing" {
			t.Errorf("%s of %s is marked %v", c.what, c.Changed, c.header)
		}
	}
	want(ofTask(1), "c-1", "exact")
	title := "noch einmal von uns"
	if _, err := client.Do(t.Context(), payload.Generic{Name: "updateTask", Resource: "task", Data: json.RawMessage(fmt.Sprintf(`{"taskId":%q,"title":%q}`, created.Resource.ID, title))}, events.WithID("c-2"), from); err != nil {
		t.Fatal(err)
	}
	want(ofTask(2), "c-2", "exact")
	m.call(http.MethodPut, "/tasks/"+created.Resource.ID, map[string]any{"title": "von einem Menschen"})
	want(ofTask(3), "", "")
}
