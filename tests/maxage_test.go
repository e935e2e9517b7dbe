package tests

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// query asks for a task that may be so old.
func (m *mirrored) query(id, maxAge string) *nats.Msg {
	m.t.Helper()
	answer, err := m.js.Conn().RequestMsg(&nats.Msg{
		Subject: prefix.Query("acme", "task", "getTask"), Header: nats.Header{"Factro-Max-Age": {maxAge}}, Data: fmt.Appendf(nil, `{"taskId":%q}`, id),
	}, patience)
	if err != nil {
		m.t.Fatal(err)
	}
	return answer
}

// TestMaxAge: a query that accepts an age is answered from the mirror, byte for byte as by factro and without asking it, and never with
// what is older than the last event.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	m := startMirror(t, sim.Config{Examples: true}, "mirror: {settle: 50ms}")
	id := fmt.Sprint(m.call(http.MethodPost, "/tasks", map[string]any{"title": "Prüfung", "targetParentId": m.f.demo.Package})["id"])
	m.inStep()
	copied := func(what, title string) {
		t.Helper()
		waitFor(t, what, func() bool {
			calls := count(m.f, "getTask")
			answer := m.query(id, "1h")
			return answer.Header.Get("Factro-Age") != "" && strings.Contains(string(answer.Data), title) && count(m.f, "getTask") == calls
		})
	}
	copied("the mirror answers", `"Prüfung"`)
	truth, _ := m.raw(http.MethodGet, "/tasks/"+id, nil)
	answer := m.query(id, "1h")
	if age := answer.Header.Get("Factro-Age"); string(answer.Data) != string(truth) || !regexp.MustCompile(`^\d+\.\d{3}$`).MatchString(age) {
		t.Errorf("got %s of the age %q, factro has %s", answer.Data, age, truth)
	}
	out, errOut, code := bridgeCommand(t, "query", "getTask", "taskId="+id, "--max-age", "1h", "--config", m.b.configFile)
	if code != 0 || strings.TrimSpace(out) != string(truth) || !strings.Contains(errOut, "from the mirror, ") {
		t.Errorf("bridge query ends with %d: %s%s", code, out, errOut)
	}

	m.call(http.MethodPut, "/tasks/"+id, map[string]any{"title": "Prüfung 2"})
	copied("the mirror answers with the new title", `"Prüfung 2"`)
	if answer := m.query(id, "1ns"); answer.Header.Get("Factro-Age") != "" || !strings.Contains(string(answer.Data), `"Prüfung 2"`) {
		t.Errorf("an old copy: %s with %v", answer.Data, answer.Header)
	}
	if answer := m.query(id, "soon"); answer.Header.Get(events.HeaderErrorCode) != "400" || !strings.Contains(string(answer.Data), "Factro-Max-Age") {
		t.Errorf("an age that is none: %s with %v", answer.Data, answer.Header)
	}
	m.call(http.MethodDelete, "/tasks/"+id, nil)
	waitFor(t, "the task is gone", func() bool { return m.query(id, "1h").Header.Get(events.HeaderErrorCode) == "404" })
	if got := m.b.metric(`factro_bridge_queries_mirror_total{factro_cloud="acme",factro_operation="getTask",outcome="fresh"}`); got == "" || got == "0" {
		t.Errorf("%q answers came from the mirror", got)
	}
}
