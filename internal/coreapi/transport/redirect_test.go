package transport

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestRedirectKeepsKey: the client follows no redirect, and does not even hear where one leads. Each of the two suffices to keep
// the key from another address, so each is tried without the other.
func TestRedirectKeepsKey(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	ours := NewClient(nil, nil)
	for name, c := range map[string]*http.Client{
		"a client that follows none":  {Transport: http.DefaultTransport, CheckRedirect: ours.CheckRedirect},
		"a client that hears of none": {Transport: ours.Transport},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "a key")
		resp, err := c.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = resp.Body.Close()
		if n := followed.Load(); n > 0 || resp.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s: the answer is %d, and the key was taken elsewhere %d times", name, resp.StatusCode, n)
		}
	}
}
