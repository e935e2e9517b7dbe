package egress

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
	exceptions := map[int]judgement{
		401: unauthorized, 408: unknown, 429: throttled,
	}
	for _, name := range []string{"createTask", "updateTask", "deleteTask", "getUserQuota"} {
		op, known := factro.Lookup(name)
		if !known {
			t.Fatal(name)
		}
		for _, kind := range []string{"", "text/plain", "application/json; charset=utf-8", "text/html; charset=utf-8"} {
			header := http.Header{"Content-Type": {kind}}
			for status := 100; status < 600; status++ {
				var want judgement
				switch {
				case status < 200:
					want = unknown
				case status < 300:
					want = done
				case status < 400:
					want = unknown
				case status < 500:
					want = refused
				default:
					want = unknown
				}
				if e, is := exceptions[status]; is {
					want = e
				}
				if status == 404 && name == "deleteTask" && kind != "text/html; charset=utf-8" {
					want = done
				}
				if got := judge(op, answer{status: status, header: header}); got != want {
					t.Errorf("%s, %d, %q: %d, want %d", name, status, kind, got, want)
				}
				// A failure counts more than the status that came before it.
				if got := judge(op, answer{status: status, err: errors.New("cut")}); got != unknown {
					t.Errorf("%s, cut after %d: %d", name, status, got)
				}
			}
		}
		for _, err := range []error{errors.New("reset"), fmt.Errorf("wrapped: %w", http.ErrHandlerTimeout)} {
			if got := judge(op, answer{err: err}); got != unknown {
				t.Errorf("%s, %v: %d, want unknown", name, err, got)
			}
			if got := judge(op, answer{err: err, unsent: true}); got != failed {
				t.Errorf("%s, unsent %v: %d, want failed", name, err, got)
			}
		}
	}
	for j := done; j <= unknown; j++ {
		if want := slices.Contains([]judgement{done, refused, throttled, unauthorized}, j); healthy(j) != want {
			t.Errorf("judgement %d is healthy: %v", j, healthy(j))
		}
	}
}
