package ingress_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDriftIsSampled: a webhook with unknown parts is stored like any other, and a sample is logged, with names only and
// never with a value.
func TestDriftIsSampled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg, store := config(), &memoryStore{}
		cfg.KnownActions = []string{"MeineAktion"}
		server, book := newServer(t, cfg, store)
		post := func(body string) {
			t.Helper()
			r := httptest.NewRequest(http.MethodPost, "/webhooks/acme", strings.NewReader(body))
			r.Header.Set("X-Bridge-Key", newSecret)
			w := httptest.NewRecorder()
			server.Handler().ServeHTTP(w, r)
			if w.Code != http.StatusAccepted {
				t.Fatalf("%s: %d %s", body, w.Code, w.Body)
			}
		}
		const line = "factro sends what its description does not have"
		lines := func(want int, holding ...string) {
			t.Helper()
			if got := strings.Count(book.String(), line); got != want {
				t.Errorf("%d samples are logged, want %d: %s", got, want, book)
			}
			for _, part := range holding {
				if !strings.Contains(book.String(), part) {
					t.Errorf("the log has no %s: %s", part, book)
				}
			}
		}
		post(`{"action":"TaskCreated","context":{"entityId":"t","anything":1},"id":"1","mandantId":"m","createdAt":"x"}`)
		post(`{"action":"MeineAktion","context":{}}`)
		lines(0)
		post(`{"action":"GrößeGeändert","context":{}}`)
		lines(1, `"what":"action","names":"GrößeGeändert"`)
		for i := range 5 { // the first of the keys is logged, whatever happens to the actions
			post(fmt.Sprintf(`{"action":"GrößeGeändert","context":{},"neu%d":%q}`, i, marker))
		}
		lines(2, `"what":"key","names":"neu0"`)
		time.Sleep(11 * time.Minute) //nolint:forbidigo // in a bubble of virtual time
		post(`{"action":"TaskStateChanged","context":{},"neu":"` + marker + `","` + strings.Repeat("ü", 300) + `":1,"\n":0}`)
		lines(3, `"names":"neu üüü`, `"not_logged":4`)
		if len(store.events) != 9 {
			t.Errorf("%d events are stored, want 9", len(store.events))
		}
	})
}

// TestDriftWithoutAList: without a list nearly all actions are unknown, so they are not logged, but an unknown key is.
func TestDriftWithoutAList(t *testing.T) {
	t.Parallel()
	server, book := newServer(t, config(), &memoryStore{})
	for _, body := range []string{`{"action":"SomethingNew"}`, `{"action":"SomethingNew","neu":1}`} {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/acme", strings.NewReader(body))
		r.Header.Set("X-Bridge-Key", newSecret)
		server.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	if text := book.String(); strings.Contains(text, "SomethingNew") || !strings.Contains(text, `"names":"neu"`) {
		t.Errorf("the log is %s", text)
	}
}
