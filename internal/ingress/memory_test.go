package ingress_test

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestAnnouncedLengthIsNotBelieved: an announced length must not reserve memory. The test runs alone, since it counts all
// allocations.
func TestAnnouncedLengthIsNotBelieved(t *testing.T) { //nolint:paralleltest // see above
	cfg := config()
	cfg.MaxBody, cfg.MaxMemory = 64<<20, 1<<30
	s, _ := newServer(t, cfg, &memoryStore{})
	r := request(t, "")
	r.ContentLength, r.Body = cfg.MaxBody, io.NopCloser(io.MultiReader(strings.NewReader(good[:9]), broken{}))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp := answer(t, s, r)
	runtime.ReadMemStats(&after)
	wantStatus(t, resp, http.StatusBadRequest)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// broken is a connection that ends too early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
