package coreapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestJudge goes through every status, every kind of operation and every kind of failure.
func TestJudge(t *testing.T) {
	t.Parallel()
	exceptions := map[int]Judgement{
		401: Unauthorized, 408: Unknown, 429: Throttled,
	}
	for _, name := range []string{"createTask", "updateTask", "deleteTask", "getUserQuota"} {
		op, known := factro.Lookup(name)
		if !known {
			t.Fatal(name)
		}
		for _, kind := range []string{"", "text/plain", "application/json; charset=utf-8", "text/html; charset=utf-8"} {
			header := http.Header{"Content-Type": {kind}}
			for status := 100; status < 600; status++ {
				var want Judgement
				switch {
				case status < 200:
					want = Unknown
				case status < 300:
					want = Done
				case status < 400:
					want = Unknown
				case status < 500:
					want = Refused
				default:
					want = Unknown
				}
				if e, is := exceptions[status]; is {
					want = e
				}
				if status == 404 && name == "deleteTask" && kind != "text/html; charset=utf-8" {
					want = Done
				}
				if got := judge(op, Answer{Status: status, Header: header}); got != want {
					t.Errorf("%s, %d, %q: %d, want %d", name, status, kind, got, want)
				}
				// A success in a form that is none may have been one.
				if status/100 == 2 {
					want = Unknown
				}
				if got := judge(op, Answer{Status: status, Header: header, Malformed: errors.New("a list")}); got != want {
					t.Errorf("%s, %d, %q, malformed: %d, want %d", name, status, kind, got, want)
				}
				// A failure counts more than the status that came before it.
				if got := judge(op, Answer{Status: status, Err: errors.New("cut")}); got != Unknown {
					t.Errorf("%s, cut after %d: %d", name, status, got)
				}
			}
		}
		for _, err := range []error{errors.New("reset"), fmt.Errorf("wrapped: %w", http.ErrHandlerTimeout)} {
			if got := judge(op, Answer{Err: err}); got != Unknown {
				t.Errorf("%s, %v: %d, want unknown", name, err, got)
			}
			if got := judge(op, Answer{Err: err, Unsent: true}); got != Failed {
				t.Errorf("%s, unsent %v: %d, want failed", name, err, got)
			}
		}
	}
	for j := Done; j <= Unknown; j++ {
		if want := slices.Contains([]Judgement{Done, Refused, Throttled, Unauthorized}, j); healthy(j) != want {
			t.Errorf("judgement %d is healthy: %v", j, healthy(j))
		}
	}
}
