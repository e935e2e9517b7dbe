package hostile

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// lenientProxy stands before a Core API and makes of each path what servers and proxies have been seen to make of one:
// escapes undone as often as there are any, cut at what ends a path, without what follows a semicolon, with slashes for
// backslashes, and dots resolved.
type lenientProxy struct {
	mu   sync.Mutex
	seen []string // method and path of each request that changes something, as it was passed on
}

func (p *lenientProxy) before(core http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		full := r.URL.EscapedPath()
		for range 5 {
			if undone, err := url.PathUnescape(full); err == nil {
				full = undone
			}
		}
		if i := strings.IndexAny(full, "?#\x00"); i >= 0 {
			full = full[:i]
		}
		segments := strings.Split(strings.ReplaceAll(full, `\`, "/"), "/")
		for i, s := range segments {
			segments[i], _, _ = strings.Cut(s, ";")
		}
		full = path.Clean(strings.Join(segments, "/"))
		if r.Method != http.MethodGet {
			p.mu.Lock()
			p.seen = append(p.seen, r.Method+" "+full)
			p.mu.Unlock()
		}
		again := r.Clone(r.Context())
		again.URL = &url.URL{Path: full, RawQuery: r.URL.RawQuery}
		core.ServeHTTP(w, again)
	})
}

func (p *lenientProxy) take() (seen []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, p.seen = p.seen, nil
	return seen
}

// Who may take a task out of its package may not delete it, whatever stands before the Core API.
func TestOddIDs(t *testing.T) {
	t.Parallel()
	p := &lenientProxy{}
	w := newWorld(t, "ids that a lenient proxy reads as other paths", setting{
		core: map[string]func(http.Handler) http.Handler{acme: p.before},
	})
	id := factro.ExampleTask
	values := []string{
		id + "?", id + "#", id + ";/..", id + "\x00", id + "%00", id + "%3f", id + "%253F", "x/../" + id + "?", `x\..\` + id + "#", "..", "..;",
		"%2e%2e", "%252e%252e", ".", "//", "../projects/" + id + "?", id + "/", id + "%2f..%2f" + id + "%3f", "ä", "／", "\r\nX: 1",
	}
	for operation, values := range map[string][]string{
		"removeTaskFromPackage": values, "deleteTask": values, "updateTask": append(values, "TASKS", "tasks.json"),
	} {
		for _, value := range values {
			data := string(jsonOf(t, map[string]any{"taskId": value}))
			c := w.send(command{cloud: acme, operation: operation, data: data})
			if r := w.result(c); r.outcome != events.Rejected || !strings.Contains(string(r.data), "/taskId") {
				t.Errorf("%s of %q is %s, want rejected and the field named: %.300s", operation, value, r.outcome, r.data)
			}
		}
	}
	if seen := p.take(); len(seen) > 0 {
		t.Errorf("the Core API saw %q, want nothing", seen)
	}
	c := w.send(command{cloud: acme, operation: "updateTask", data: string(jsonOf(t, map[string]any{"taskId": id, "title": "still there"}))})
	if r := w.result(c); r.outcome != events.Applied || w.factro[acme].tasks("still there") != 1 {
		t.Errorf("the task can no longer be changed: %s %.300s", r.outcome, r.data)
	}
	if seen := p.take(); len(seen) != 1 || seen[0] != "PUT /api/core/tasks/"+id {
		t.Errorf("the Core API saw %q, want one change", seen)
	}
	w.aftermath(beta, acme)
}
