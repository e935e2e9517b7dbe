package coreapi

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// failing is a transport that fails after a time, whatever the context says, as in a process that does not run.
type failing struct{ after time.Duration }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(f.after) //nolint:forbidigo // in a bubble
	return nil, errors.New("connection reset")
}

// TestStoodStill: calls that last longer than their timeout allows are those of a process that stood still. They do not open the
// breaker, so that the process can call as soon as it may again. Silence for the timeout opens it.
func TestStoodStill(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after time.Duration
		open  bool
	}{
		"a reset":      {time.Second, true},
		"silence":      {20 * time.Second, true},
		"a standstill": {28 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, err := New(Config{
					Cloud: "acme", URL: "https://factro.example/api/core", Key: secret.Source{Value: apitest.Key}, Timeout: 20 * time.Second,
				}, nil, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				a.client.http = &http.Client{Transport: failing{test.after}} // what ends calls does not run either
				done := make(chan Answer)
				for range 8 {
					go func() {
						got, j := a.Exchange(t.Context(), Attempt{Op: Probe, Number: 1}, probeCall, apitest.Key)
						if j != Unknown && j != Failed {
							t.Errorf("judged %d", j)
						}
						done <- got
					}()
				}
				for range 8 {
					if got := <-done; got.Late == test.open {
						t.Errorf("late: %t, %v", got.Late, got.Err)
					}
				}
				if open := a.Breaker() == "open"; open != test.open {
					t.Errorf("the breaker is %s", a.Breaker())
				}
			})
		})
	}
}
