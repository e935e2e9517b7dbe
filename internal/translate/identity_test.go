package translate_test

import (
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// TestIDsStayApart: what is no valid text must not become U+FFFD, since then different ids are one.
func TestIDsStayApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	long := strings.Repeat("i", 300)
	for _, id := range []string{`"` + long + `"`, `"` + long + `j"`, `1` + strings.Repeat("0", 300), `"\ud800"`, `"\ud801"`, `"\udc00"`, `"\ud800\ud800"`, `"a\ud800"`, `"\udc00\ud800"`, `"\\ud800"`, `"\ufffd"`} {
		body := `{"action":"A","id":` + id + `,"context":{"entityId":` + id + `}}`
		e, err := translate.Webhook([]byte(body), receipt())
		if err != nil {
			t.Fatal(err)
		}
		again, err := translate.Webhook([]byte(body), receipt())
		if err != nil || again.ID() != e.ID() {
			t.Errorf("%s: the ids are %q and %q: %v", id, e.ID(), again.ID(), err)
		}
		if other := seen[e.ID()]; other != "" {
			t.Errorf("%s and %s have the id %q", id, other, e.ID())
		}
		seen[e.ID()] = id
		if strings.Contains(e.EntityID, "\ufffd") && id != `"\ufffd"` {
			t.Errorf("%s became the entity %q", id, e.EntityID)
		}
		if !translate.HasID([]byte(body), e.ID()) {
			t.Errorf("%s: the id %q is not taken for the body's own", id, e.ID())
		}
	}
}

func TestValidSurrogatePairsAreText(t *testing.T) {
	t.Parallel()
	e, err := translate.Webhook([]byte(`{"action":"A","id":"\ud83d\ude00\\\ud83d\uDE00","context":{"entityId":"😀\u00e4"}}`), receipt())
	if err != nil || e.ID() != `😀\😀` || e.EntityID != "😀ä" {
		t.Errorf("got %q, %q: %v", e.ID(), e.EntityID, err)
	}
}

// TestNumbersKeepTheirDigits: as a float64 they would be rounded.
func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	e, err := translate.Webhook([]byte(`{"action":"TaskCreated","id":9007199254740993,"context":{"entityId":90071992547409931234}}`), receipt())
	if err != nil || e.ID() != "9007199254740993" || e.EntityID != "90071992547409931234" || e.Subject() != "task/90071992547409931234" {
		t.Errorf("got %q, %q, %q: %v", e.ID(), e.EntityID, e.Subject(), err)
	}
	s, err := translate.StoredPayload([]byte(`{"id":"r","action":"TaskCreated","createdAt":"2026-01-01T00:00:00Z","context":{"taskId":90071992547409931234}}`), receipt())
	if err != nil || s.EntityID != "90071992547409931234" {
		t.Errorf("a record has the entity %q: %v", s.EntityID, err)
	}
}

// TestDatesOfNobody: what databases write for a time that they do not know is no time of an event.
func TestDatesOfNobody(t *testing.T) {
	t.Parallel()
	for createdAt, want := range map[string]bool{
		"0001-01-01T00:00:00":       false,
		"0001-01-01T00:00:00Z":      false,
		"0001-01-01T00:00:00+01:00": false,
		"1899-12-30T00:00:00Z":      false,
		"1970-01-01T00:00:00Z":      false,
		"1970-01-01T01:00:00+01:00": false,
		"1999-12-31T23:59:59.999Z":  false,
		"2000-01-01T00:30:00+01:00": false,
		"2000-01-01T00:00:00Z":      true,
		"2026-02-03T04:05:06.789Z":  true,
		"2200-12-31T23:59:59Z":      true,
		"2201-01-01T00:00:00Z":      false,
		"9999-12-31T23:59:59Z":      false,
	} {
		body := []byte(`{"id":"r","action":"TaskCreated","createdAt":"` + createdAt + `","context":{"entityId":"t"}}`)
		e, err := translate.Webhook(body, receipt())
		if err != nil || e.Time().Equal(at) == want {
			t.Errorf("%s became %s: %v", createdAt, e.Time(), err)
		}
		if _, err := translate.StoredPayload(body, receipt()); (err == nil) != want {
			t.Errorf("a record of %s: %v", createdAt, err)
		}
	}
}
