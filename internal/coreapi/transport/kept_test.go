package transport

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// TestKept: calls side by side, again and again, use the same connections.
func TestKept(t *testing.T) {
	t.Parallel()
	const atOnce, rounds = 16, 5
	var opened atomic.Int32
	var here sync.WaitGroup // all calls of a round are under way at the same time
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		here.Done()
		here.Wait()
		w.WriteHeader(http.StatusNoContent)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := NewClient(nil, nil)
	for range rounds {
		here.Add(atOnce)
		var calls sync.WaitGroup
		for range atOnce {
			calls.Go(func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
			})
		}
		calls.Wait()
	}
	if n := opened.Load(); n > 2*atOnce { // on a slow machine, one that was not used for a while is given up
		t.Errorf("%d connections were opened for %d calls at once, %d times", n, atOnce, rounds)
	}
}
