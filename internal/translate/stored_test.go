package translate

import (
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
)

func storedReceipt() Receipt {
	return Receipt{
		Cloud: "acme", Source: "urn:factro:cloud:acme", At: time.Date(2026, 9, 2, 0, 0, 0, 0, time.UTC), Origin: "reconcile",
		NewID: func() string { return "none" },
	}
}

// TestStoredPayload: a record becomes the event that its webhook would have been, without what it says of the webhook.
func TestStoredPayload(t *testing.T) {
	t.Parallel()
	const webhook = `"webhook": {"callbackUri":"https://x/webhooks/acme", "authenticationHeaderValue": null}`
	for name, tt := range map[string]struct{ raw, data, id, subject string }{
		"whole": {
			`{ "id": "r-1", "action": "TaskCreated", "createdAt": "2026-09-01T10:00:00.5+02:00", "context": {"entityId": "Größe"}, ` + webhook + `, "n": 1.10 }`,
			`{"id":"r-1","action":"TaskCreated","createdAt":"2026-09-01T10:00:00.5+02:00","context":{"entityId": "Größe"},"n":1.10}`, "r-1", "task/Größe",
		},
		"null id": {
			`{` + webhook + `,"id":null,"action":"WorkRecordCreated","createdAt":"2026-09-01T08:00:00.5Z","context":{"workRecordId":"w"}}`,
			`{"id":null,"action":"WorkRecordCreated","createdAt":"2026-09-01T08:00:00.5Z","context":{"workRecordId":"w"}}`, "none", "work-record/w",
		},
		"no entity": {
			`{"action":"TaskCreated","createdAt":"2026-09-01T08:00:00.5Z","context":{"projectId":"p"}}`,
			`{"action":"TaskCreated","createdAt":"2026-09-01T08:00:00.5Z","context":{"projectId":"p"}}`, "none", "",
		},
	} {
		s, err := StoredPayload([]byte(tt.raw), storedReceipt())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(s.Data()) != tt.data || s.ID() != tt.id || s.Event.Subject() != tt.subject {
			t.Errorf("%s: %s on %q: %s", name, s.ID(), s.Event.Subject(), s.Data())
		}
		if want := time.Date(2026, 9, 1, 8, 0, 0, 5e8, time.UTC); !s.Time().Equal(want) || !s.CreatedAt.Equal(want) {
			t.Errorf("%s: at %s", name, s.Time())
		}
		if (s.Digest == [16]byte{}) == (tt.id == "none") || s.Extensions()[attr.Origin] != "reconcile" {
			t.Errorf("%s: digest %x, extensions %v", name, s.Digest, s.Extensions())
		}
		if strings.Contains(tt.raw, "callbackUri") && s.Callback != "https://x/webhooks/acme" {
			t.Errorf("%s: calls %q", name, s.Callback)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, raw := range []string{``, `[]`, `{`, `null`, `{"action":"A"}`, `{"action":"A","createdAt":"soon"}`, `{"createdAt":"2026-09-01T08:00:00Z"}`} {
		if s, err := StoredPayload([]byte(raw), storedReceipt()); err == nil {
			t.Errorf("%s became %v", raw, s)
		}
	}
}

// TestStoredEntity: a record without entityId is about what its context names under its resource, if a subject can hold that.
func TestStoredEntity(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("e", 1024)
	for context, want := range map[string]string{
		`{"taskId":"t"}`:                  "t",
		`{"taskId":7}`:                    "7",
		`{"taskId":"t","entityId":"e"}`:   "e",
		`{"taskId":""}`:                   "",
		`{"taskId":null}`:                 "",
		`{"taskid":"t","projectId":"p"}`:  "",
		`{"taskId":"` + longest + `"}`:    longest,
		`{"taskId":"` + longest + `e"}`:   "",
		`"taskId"`:                        "",
		`{"nested":{"taskId":"t"}}`:       "",
		`{"taskId":"first","taskId":"t"}`: "t",
	} {
		s, err := StoredPayload([]byte(`{"action":"TaskCreated","createdAt":"2026-09-01T08:00:00Z","context":`+context+`}`), storedReceipt())
		subject := ""
		if want != "" {
			subject = "task/" + want
		}
		if err != nil || s.EntityID != want || s.Event.Subject() != subject {
			t.Errorf("%.100s: got %.100q with the subject %.100q: %v", context, s.EntityID, s.Event.Subject(), err)
		}
	}
	s, err := StoredPayload([]byte(`{"action":"._-","createdAt":"2026-09-01T08:00:00Z","context":{"Id":"t"}}`), storedReceipt())
	if err != nil || s.EntityID != "" || s.Event.Subject() != "" {
		t.Errorf("an action without a resource has the entity %q with the subject %q: %v", s.EntityID, s.Event.Subject(), err)
	}
}

// TestDerivedID: it tells records apart that differ in what identifies them, and no others.
func TestDerivedID(t *testing.T) {
	t.Parallel()
	digest := func(raw string) [16]byte {
		t.Helper()
		s, err := StoredPayload([]byte(raw), storedReceipt())
		if err != nil {
			t.Fatal(err)
		}
		return s.Digest
	}
	const base = `{"webhookId":"w","action":"A","createdAt":"2026-09-01T08:00:00Z","context":{"a":1,"b":"x"}}`
	want := digest(base)
	if got := digest(`{"deliveryAttempts":7,"context":{"b":"x","a":1},"createdAt":"2026-09-01T08:00:00.000Z","action":"A","webhookId":"w","id":null}`); got != want {
		t.Error("the same record has another digest")
	}
	for _, change := range [][2]string{{`"w"`, `"v"`}, {`"A"`, `"B"`}, {`08:00:00Z`, `08:00:00.001Z`}, {`"x"`, `"y"`}, {`:1,`, `:1.0,`}} {
		if digest(strings.Replace(base, change[0], change[1], 1)) == want {
			t.Errorf("%v has the same digest", change)
		}
	}
	for _, ids := range [][2]string{{`"\ud800"`, `"\ud801"`}, {`"v"`, `null`}, {`"7"`, `"8"`}} { // webhooks whose ids differ, readable or not
		if digest(strings.Replace(base, `"w"`, ids[0], 1)) == digest(strings.Replace(base, `"w"`, ids[1], 1)) {
			t.Errorf("webhooks %s and %s have the same digest", ids[0], ids[1])
		}
	}
	if a, b := DerivedID(want, 0), DerivedID(want, 1); a == b || a != DerivedID(want, 0) || len(a) != 36 {
		t.Errorf("the ids are %s and %s", a, b)
	}
}

// TestHasID: an id in the body is not taken for one that was made here.
func TestHasID(t *testing.T) {
	t.Parallel()
	if !HasID([]byte(`{"id":"a"}`), "a") || HasID([]byte(`{"id":null}`), "a") || HasID([]byte(`{}`), "") || !HasID([]byte(`{"id":7}`), "7") {
		t.Error("HasID does not tell delivered ids from minted ones")
	}
}

// TestGap: no other events are made of gaps than the two.
func TestGap(t *testing.T) {
	t.Parallel()
	if e, err := Gap("acme", "GapWidened", gap.Gap{}, storedReceipt().At); err == nil {
		t.Errorf("there is %v", e)
	}
	e, err := Gap("acme", gap.Closed, gap.Gap{GapID: "g"}, storedReceipt().At)
	if err != nil || e.Validate() != nil || e.ID() != "g.closed" || e.Subject() != "bridge/g" {
		t.Errorf("%v, %v", e, err)
	}
	if g, err := gap.Of(e); err != nil || g.GapID != "g" {
		t.Errorf("%+v, %v", g, err)
	}
	e.SetType("com.factro.TaskCreated")
	if g, err := gap.Of(e); err == nil {
		t.Errorf("another event has the gap %+v", g)
	}
}
