package sim_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

const browser = "text/html,application/xhtml+xml,*/*;q=0.8"

func get(t *testing.T, s *sim.Sim, path, accept string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	r.Header.Set("Accept", accept)
	s.Handler().ServeHTTP(w, r)
	return w
}

// TestPages follows every link from the front page, and wants a page behind each; the address of factro's web UI that the bridge
// makes is one of them.
func TestPages(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Config{Examples: true}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	href := regexp.MustCompile(`href="([^"]+)"`)
	queue, seen := []string{"/_sim/"}, map[string]bool{"/_sim/": true}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		w := get(t, s, path, browser)
		body, header := w.Body.String(), w.Header()
		if w.Code != http.StatusOK || header.Get("Content-Type") != "text/html; charset=utf-8" || header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none';") {
			t.Errorf("%s: %d %v", path, w.Code, header)
		}
		if strings.Contains(body, `"_order"`) || strings.Contains(body, sim.DefaultKey) {
			t.Errorf("%s shows what is the simulator's own", path)
		}
		for _, m := range href.FindAllStringSubmatch(body, -1) {
			link := strings.ReplaceAll(m[1], "&amp;", "&")
			if !seen[link] {
				seen[link] = true
				queue = append(queue, link)
			}
		}
	}
	for resource, id := range map[string]string{
		"task": factro.ExampleTask, "project": factro.ExampleProject, "package": factro.ExamplePackage, "user": factro.ExampleUser,
	} {
		if link := factro.WebLink("", factro.ExampleMandant, resource, id); !seen[link] {
			t.Errorf("no page leads to %s", link)
		}
	}
	if other := "/_sim/objects/comment/" + factro.ExampleTaskComment; !seen[other] {
		t.Errorf("no page leads to %s", other)
	}
	// Programs get what they always got.
	if w := get(t, s, "/_sim/", "*/*"); !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") || !strings.Contains(w.Body.String(), "cut-after") {
		t.Errorf("the front page for programs: %v\n%s", w.Header(), w.Body)
	}
	if w := get(t, s, "/_sim/objects/task/"+factro.ExampleTask, "*/*"); !strings.Contains(w.Body.String(), `"id":"`+factro.ExampleTask+`"`) {
		t.Errorf("an object for programs: %s", w.Body)
	}
	if w := get(t, s, "/", browser); w.Code != http.StatusFound || w.Header().Get("Location") != "/_sim/" {
		t.Errorf("/: %d %v", w.Code, w.Header())
	}
	for _, path := range []string{
		"/" + factro.ExampleMandant[:8] + "/?p=task&pi=%3Cscript%3E", "/" + factro.ExampleMandant[:8] + "/", "/_sim/objects/task/none", "/_sim/objects/none/none",
		"/00000000/?p=task&pi=" + factro.ExampleTask, "/favicon.ico",
	} {
		if w := get(t, s, path, browser); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "<script>") {
			t.Errorf("%s: %d\n%s", path, w.Code, w.Body)
		}
	}
}

// TestPagesEscape: whatever a command writes into factro is text on the pages.
func TestPagesEscape(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Config{Examples: true}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	const evil = `</title><script>alert(1)</script><img src=x onerror=alert(1)>`
	w := httptest.NewRecorder()
	body := `{"title":"` + evil + `","targetParentId":"` + factro.ExamplePackage + `","customFields":{"` + evil + `":"` + evil + `"}}`
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/core/tasks", strings.NewReader(body))
	r.Header.Set("Authorization", sim.DefaultKey)
	r.Header.Set("Content-Type", "application/json")
	s.Handler().ServeHTTP(w, r)
	id := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(w.Body.String())
	if w.Code != http.StatusOK || id == nil {
		t.Fatalf("the task was not made: %d %s", w.Code, w.Body)
	}
	front := get(t, s, "/_sim/", browser).Body.String()
	if !regexp.MustCompile(`<td>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)</td><td>POST /tasks</td>`).MatchString(front) {
		t.Errorf("the request has no date or no zone:\n%s", front)
	}
	for _, path := range []string{
		factro.WebLink("", factro.ExampleMandant, "task", id[1]), "/_sim/objects/task", factro.WebLink("", factro.ExampleMandant, "package", factro.ExamplePackage),
		"/api/core/" + url.PathEscape(evil), "/_sim/",
	} {
		got := get(t, s, path, browser).Body.String()
		if strings.Contains(got, "<script") || strings.Contains(got, "<img") {
			t.Errorf("%s does not escape:\n%s", path, got)
		}
	}
}
