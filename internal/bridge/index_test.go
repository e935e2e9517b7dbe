package bridge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// TestIndexes: / and /contract/ list what there is, a browser gets a page and others get text, each address that they name
// answers, and what there is not is 404. A browser takes each answer for what it is.
func TestIndexes(t *testing.T) {
	t.Parallel()
	b := &Bridge{version: "v1.2.3<b>", metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "metrics") })}
	b.cfg.NATS.Prefix = "factro"
	h := b.admin(func() error { return nil }, func() readiness { return readiness{Ready: true} })
	get := func(path, accept string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.Header.Set("Accept", accept)
		h.ServeHTTP(w, r)
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: headers %v", path, w.Header())
		}
		return w
	}
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, path := range []string{"/", "/contract/"} {
		text, page := get(path, "*/*"), get(path, browser)
		if got := text.Header().Get("Content-Type"); text.Code != http.StatusOK || got != "text/plain; charset=utf-8" {
			t.Errorf("%s: %d %s", path, text.Code, got)
		}
		if got := page.Header().Get("Content-Type"); page.Code != http.StatusOK || got != "text/html; charset=utf-8" || strings.Contains(page.Body.String(), "<b>") {
			t.Errorf("%s: %d %s\n%s", path, page.Code, got, page.Body)
		}
		links := regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
		if len(links) < 4 {
			t.Errorf("%s has %d links:\n%s", path, len(links), page.Body)
		}
		for _, link := range links {
			if w := get(link[1], browser); w.Code != http.StatusOK || !strings.Contains(text.Body.String(), "  "+link[1]+" ") {
				t.Errorf("%s: %d; as text:\n%s", link[1], w.Code, text.Body)
			}
		}
	}
	for _, path := range []string{"/x", "/index.html", "/contract/x", "/livez/"} {
		if w := get(path, browser); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
