package webpage_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/webpage"
)

// TestWrite: what is filled in is escaped, and the one style sheet is the one that the policy allows.
func TestWrite(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	webpage.Write(w, http.StatusOK, webpage.New("{{.}}", `<a href="{{.}}">x</a>`), `javascript:alert("<script>")`)
	body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if strings.Contains(body, "<script>") || strings.Contains(body, `href="javascript`) {
		t.Errorf("not escaped:\n%s", body)
	}
	_, rest, _ := strings.Cut(body, "<style>")
	sheet, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(sheet))
	if !strings.Contains(policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("the policy does not fit the page: %s", policy)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Vary": "Accept", "Cache-Control": "no-store",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/html,application/xhtml+xml,*/*;q=0.8": true,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Accept", accept)
		if webpage.Wanted(r) != want {
			t.Errorf("Accept: %s: want %v", accept, want)
		}
	}
}
