package egress

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// TestStatus: the reasons why commands wait are reported as codes and times, without texts from factro or the network.
func TestStatus(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer apitest.Reply
		calls  int // that are made before it is asked
		key    string
		want   string
	}{
		"well":            {answer: apitest.OK(apitest.Fits), calls: 1, want: `"factro":{"state":"reachable"}`},
		"no connection":   {answer: apitest.Reply{Unsent: true}, calls: 5, want: `"factro":{"state":"unreachable","since":"2000-01-01T00:00:00Z","reason":"no-connection","retryAt":"2000-01-01T00:00:15Z"}`},
		"an error":        {answer: apitest.Reply{Status: 503, Body: "db-7.internal"}, calls: 5, want: `"factro":{"state":"unreachable","since":"2000-01-01T00:00:00Z","reason":"error-status","status":503,"retryAt":"2000-01-01T00:00:15Z"}`},
		"another's page":  {answer: apitest.OK("<html>"), calls: 5, want: `"factro":{"state":"unreachable","since":"2000-01-01T00:00:00Z","reason":"bad-answer","status":200,"retryAt":"2000-01-01T00:00:15Z"}`},
		"too few":         {answer: apitest.Reply{Unsent: true}, calls: 4, want: `"factro":{"state":"reachable"}`},
		"no key":          {answer: apitest.OK(apitest.Fits), key: "none", want: `"factro":{"state":"reachable"},"paused":{"state":"paused","since":"2000-01-01T00:00:00Z","reason":"key-missing","retryAt":"2000-01-01T00:00:30Z"}`},
		"the key refused": {answer: apitest.Reply{Status: 401}, calls: 1, want: `"factro":{"state":"reachable"},"paused":{"state":"paused","since":"2000-01-01T00:00:00Z","reason":"key-refused","retryAt":"2000-01-01T00:00:30Z"}`},
		"throttled": {
			answer: apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "20"}}, calls: 1,
			want: `"factro":{"state":"reachable"},"paused":{"state":"paused","since":"2000-01-01T00:00:00Z","reason":"throttled","retryAt":"2000-01-01T00:00:20Z"}`,
		},
		"asked to wait": {
			answer: apitest.Reply{Status: 503, Header: map[string]string{"Retry-After": "20"}}, calls: 1,
			want: `"factro":{"state":"reachable"},"paused":{"state":"paused","since":"2000-01-01T00:00:00Z","reason":"asked-to-wait","retryAt":"2000-01-01T00:00:20Z"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(*http.Request, string) apitest.Reply { return tt.answer }, func(c *coreapi.Config) {
					if tt.key != "" {
						c.Key = secret.Source{File: "/nowhere"}
					}
				})
				for range tt.calls {
					r.w.api.Exchange(t.Context(), coreapi.Attempt{Op: coreapi.Probe, Number: 1}, probeCall, apitest.Key)
				}
				if tt.key != "" {
					r.w.api.Acquire(t.Context())
				}
				text, err := json.Marshal(r.w.Status())
				if want := `{"cloud":"acme","at":"2000-01-01T00:00:00Z",` + tt.want + `}`; err != nil || string(text) != want {
					t.Errorf("got\n%s, %v, want\n%s", text, err, want)
				}
			})
		})
	}
}

// TestStatusInFlight: the status has the activity of the command in flight, and nothing of the command itself.
func TestStatusInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		during := make(chan status.Status, 2) // as it was while factro was asked
		var r *rig
		answers := apitest.Sequence(apitest.Reply{Status: 500}, apitest.OK(apitest.Fits))
		r = newRig(t, func(req *http.Request, body string) apitest.Reply {
			during <- r.w.Status()
			return answers(req, body)
		})
		if s := r.w.Status(); s.InFlight != nil {
			t.Errorf("before: %+v", s.InFlight)
		}
		done := make(chan error, 1)
		go func() { done <- r.do(update()) }()
		synctest.Wait() // it has failed once, and waits
		between := r.w.Status()
		if h := between.InFlight; h == nil || h.State != status.Retrying || h.Attempts != 1 || h.Reason != status.ReasonErrorStatus || h.Since == nil {
			t.Errorf("between: %+v", h)
		}
		first := <-during
		if h := first.InFlight; h == nil || h.State != status.Calling || h.Attempts != 0 {
			t.Errorf("during the first call: %+v", h)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		second := <-during
		if h := second.InFlight; h == nil || h.State != status.Calling || h.Attempts != 1 {
			t.Errorf("during the second call: %+v", h)
		}
		if s := r.w.Status(); s.InFlight != nil {
			t.Errorf("after: %+v", s.InFlight)
		}
		text, err := json.Marshal([]status.Status{first, between, second})
		if err != nil || strings.Contains(string(text), "t-1") || strings.Contains(string(text), "c-1") || strings.Contains(string(text), "updateTask") {
			t.Errorf("it contains the command: %s", text)
		}
	})
}
