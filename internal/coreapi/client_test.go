package coreapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// TestRealTransport: what the real client says of a request that failed decides about creates.
func TestRealTransport(t *testing.T) {
	t.Parallel()
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "{")
	}))
	t.Cleanup(half.Close)
	for name, test := range map[string]struct {
		url    string
		unsent bool
	}{"cut": {cut.URL, false}, "refused": {gone.URL, true}, "half": {half.URL, false}} {
		c := newClient(Config{URL: test.url, UserAgent: "test", Timeout: time.Minute}, nil)
		a := c.do(t.Context(), apitest.Key, Attempt{Op: Probe, Number: 1}, probeCall)
		if a.Err == nil || a.Unsent != test.unsent {
			t.Errorf("%s: unsent %v, %v", name, a.Unsent, a.Err)
		}
		if a.Err != nil && strings.Contains(a.Err.Error(), Probe.Path) {
			t.Errorf("%s: the error has the path: %v", name, a.Err)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	_, err := New(Config{URL: "ftp://x", Timeout: 1, RequestsPerMinute: -1, Reserve: 51, Key: secret.Source{}}, nil, nil)
	if err == nil {
		t.Fatal("a configuration full of mistakes is accepted")
	}
	for _, want := range []string{"api.url", "api.key", "api.requests_per_minute", "api.reserve", "api.timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not reported: %v", want, err)
		}
	}
}

// TestDownQuotesNoAnswer: what factro wrote beside a status is not in the log.
func TestDownQuotesNoAnswer(t *testing.T) {
	t.Parallel()
	for text, a := range map[string]Answer{
		"factro answered 503":       {Status: 503, Body: []byte("about Erika")},
		"factro answered 200 with ": {Status: 200, Body: []byte("about Erika"), Malformed: shape.ErrNotJSON},
	} {
		if got := a.cause(); strings.Contains(got, "Erika") || !strings.HasPrefix(got, text) {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

var probeCall = translate.Call{Method: Probe.Method, Target: Probe.Path}
