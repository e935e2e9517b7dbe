package sim

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/courier"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

func TestIDsAreUUIDsOfTheSeed(t *testing.T) {
	t.Parallel()
	a, b, other := courier.NewRandom(7), courier.NewRandom(7), courier.NewRandom(8)
	for range 1000 {
		id := a.ID()
		if !tenant.IsUUID(id) || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("%s is no random uuid", id)
		}
		if id != b.ID() || id == other.ID() {
			t.Fatal("ids do not follow from the seed")
		}
	}
}

func TestGrantsAreGivenOnce(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	path := "/tasks/" + h.task("x") + "/write_rights"
	first := h.core("PUT", path, tenant.Object{"employeeId": factro.ExampleGuest}).is(200).object()
	if second := h.core("PUT", path, tenant.Object{"employeeId": factro.ExampleGuest}).is(200).object(); first.ID() != second.ID() {
		t.Error("a right was granted twice")
	}
	h.core("GET", path, nil).is(200).says(factro.ExampleGuest).says("HasDirectTaskWriteRight").says("IsTaskOfficer")
	h.control("/variants", tenant.Object{"lowerCaseReasons": true}).is(200)
	h.core("GET", path, nil).is(200).says("hasDirectTaskWriteRight")
	h.core("DELETE", path+"/"+factro.ExampleGuest, nil).is(204)
	h.core("DELETE", path+"/"+factro.ExampleGuest, nil).is(204)
	if r := h.core("GET", path, nil).is(200); bytes.Contains(r.body, []byte(factro.ExampleGuest)) {
		t.Errorf("the right is still there: %s", r.body)
	}
}

func TestPausedUntilBelongsToPushedBack(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	id := h.task("x")
	for state, want := range map[string]any{"pushedBack": "2026-09-01T22:00:00.000Z", "review": nil} {
		h.core("PUT", "/tasks/"+id+"/state", tenant.Object{"state": state, "pausedUntil": "2026-09-01T22:00:00Z"}).is(204)
		if got := h.core("GET", "/tasks/"+id, nil).is(200).object(); got["pausedUntil"] != want || got["taskState"] != state {
			t.Errorf("%s: %v", state, got)
		}
	}
}

// TestSecretsStayOutOfTheLog covers the key and a webhook's secret, on failed deliveries as well.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := New(Config{
		Key: "hidden-key", Webhooks: []Webhook{{URL: "http://127.0.0.1:1/", Action: "*", Header: "X-Key", Value: "hidden-value"}},
	}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, sim: s, key: "hidden-key"}
	h.task("x")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "webhook delivery failed") || strings.Contains(text, "hidden") {
		t.Errorf("log: %s", text)
	}
	if text := (Webhook{URL: "http://x", Action: "A", Value: "hidden"}).String(); strings.Contains(text, "hidden") {
		t.Error(text)
	}
}

// TestAnswersAreReallyChecked guards the check that TestEveryOperation relies on.
func TestAnswersAreReallyChecked(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	op, params, _ := h.sim.router.match("GET", "/companies/"+factro.ExampleCompany)
	if op.Name != "getCompany" || params["companyId"] != factro.ExampleCompany {
		t.Fatalf("matched %s, %v", op.Name, params)
	}
	r := h.request("GET", corePath+"/companies/"+factro.ExampleCompany, "", nil)
	good := h.send(r).is(200)
	for _, c := range []struct {
		status int
		body   string
		ok     bool
	}{
		{200, string(good.body), true},
		{200, "{}", false},
		{200, strings.Replace(string(good.body), factro.ExampleCompany, "no-uuid", 1), false},
		{200, "[]", false},
		{299, string(good.body), false},
	} {
		err := checkResponse(r, op, c.status, good.header, []byte(c.body))
		if (err == nil) != c.ok {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
}
