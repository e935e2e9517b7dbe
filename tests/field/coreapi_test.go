package field

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// facade stands before the simulator and answers some requests in its place.
type facade struct {
	mu    sync.Mutex
	take  func(w http.ResponseWriter, r *http.Request) bool // whether it has answered
	asked []time.Time
}

func (f *facade) before(core http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		take := f.take
		f.asked = append(f.asked, time.Now())
		f.mu.Unlock()
		if take == nil || !take(w, r) {
			core.ServeHTTP(w, r)
		}
	})
}

// once answers the first request that writes, and only that.
func (f *facade) once(answer func(w http.ResponseWriter)) {
	var one sync.Once
	f.set(func(w http.ResponseWriter, r *http.Request) (taken bool) {
		if r.Method != http.MethodGet {
			one.Do(func() { taken = true; _, _ = io.Copy(io.Discard, r.Body); answer(w) })
		}
		return taken
	})
}

func (f *facade) set(take func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.take, f.asked = take, nil
}

func (f *facade) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.asked...)
}

func page(status int, contentType, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // the client may have gone
	}
}

const (
	isHTML = "text/html; charset=utf-8"
	isJSON = "application/json"
)

// A 200 that is no answer is not taken for success: the create is looked for, and made once.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	f := &facade{}
	s := open(t, setting{core: f.before})
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		// doubt: factro may have made it and may not, and nobody else can tell. It is looked for and not made a second time.
		doubt bool
	}{
		"a maintenance page":      {answer: page(200, isHTML, "<html><h1>Wartungsarbeiten</h1></html>")},
		"a login page":            {answer: page(200, isHTML, `<html><form action="/login"><input type="password"></form></html>`)},
		"an empty object":         {answer: page(200, isJSON, "{}")},
		"nothing":                 {answer: page(200, isJSON, ""), doubt: true},
		"an error":                {answer: page(200, isJSON, `{"error":"internal"}`)},
		"an empty list":           {answer: page(200, isJSON, "[]")},
		"null":                    {answer: page(200, isJSON, "null"), doubt: true},
		"JSON that was cut":       {answer: page(200, isJSON, `{"id":"0f5ac7e0-0000-4000-8000-0000000000`)},
		"JSON under a false type": {answer: page(200, "text/plain", `ok`)},
		"201 and no object":       {answer: page(201, isJSON, "{}")},
		"202":                     {answer: page(202, isJSON, `{"status":"queued"}`)},
		"204":                     {answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, doubt: true},
		"302 to a login":          {answer: func(w http.ResponseWriter) { w.Header().Set("Location", "/login"); w.WriteHeader(http.StatusFound) }},
		"307 to another host": {answer: func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/api/core/tasks")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		"502 of a proxy": {answer: page(502, isHTML, "<html>Bad Gateway</html>")},
		"504 of a proxy": {answer: page(504, isHTML, "<html>Gateway Timeout</html>")},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t)
			title := uuid.NewString()
			f.once(tt.answer)
			want, tasks := "applied", 1
			if tt.doubt {
				want, tasks = "dead", 0
			}
			if r := s.result(s.create(title)); r.outcome != want || tt.doubt && !strings.Contains(r.data, "ambiguous") {
				t.Errorf("the create is %s, want %s: %s", r.outcome, want, r.data)
			}
			if n := s.tasks(title); n != tasks {
				t.Errorf("factro has %d tasks, want %d", n, tasks)
			}
		})
	}
}

// Whether a create is answered with 200 or 201 makes no difference.
func TestCreated(t *testing.T) {
	t.Parallel()
	f := &facade{}
	s := open(t, setting{core: f.before})
	for _, status := range []int{200, 201} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s.in(t)
			title := uuid.NewString()
			f.set(nil)
			core := s.sim.Handler()
			f.set(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				core.ServeHTTP(&restated{w, status}, r)
				return true
			})
			if r := s.result(s.create(title)); r.outcome != "applied" || s.tasks(title) != 1 {
				t.Errorf("%s, %d tasks: %s", r.outcome, s.tasks(title), r.data)
			}
			f.set(nil)
		})
	}
}

// restated writes another status in place of a good one.
type restated struct {
	http.ResponseWriter
	status int
}

func (r *restated) WriteHeader(status int) {
	if status/100 == 2 {
		status = r.status
	}
	r.ResponseWriter.WriteHeader(status)
}

// An answer that other clients can read is one, also with a byte order mark, in another charset or with a header that says nothing.
func TestAnswersInOtherForms(t *testing.T) {
	t.Parallel()
	f := &facade{}
	s := open(t, setting{core: f.before})
	for name, tt := range map[string]struct {
		header, value string
		change        func(string) string
	}{
		"a byte order mark":  {"Content-Type", isJSON, func(text string) string { return "\xef\xbb\xbf" + text }},
		"charset ISO-8859-1": {"Content-Type", isJSON + "; charset=ISO-8859-1", latin1},
		"no charset":         {"Content-Type", isJSON, latin1},
		"identity":           {"Content-Encoding", "identity", func(text string) string { return text }},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t)
			title := "Prüfung " + uuid.NewString()
			core := s.sim.Handler()
			f.set(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				got := httptest.NewRecorder()
				core.ServeHTTP(got, r)
				w.Header().Set("Content-Type", isJSON)
				w.Header().Set(tt.header, tt.value)
				w.WriteHeader(got.Code)
				_, _ = io.WriteString(w, tt.change(got.Body.String())) // the client may have gone
				return true
			})
			r := s.result(s.create(title))
			if r.outcome != "applied" || s.tasks(title) != 1 || !json.Valid([]byte(r.data)) || !utf8.ValidString(r.data) {
				t.Errorf("%s, %d tasks: %q", r.outcome, s.tasks(title), r.data)
			}
			if name != "no charset" && !strings.Contains(r.data, title) {
				t.Errorf("the result is %s, want one with %s", r.data, title)
			}
			f.set(nil)
		})
	}
}

// A 404 of somebody who does not know factro is not the word that an object is gone.
func TestNotFoundByAProxy(t *testing.T) {
	t.Parallel()
	f := &facade{}
	s := open(t, setting{core: f.before})
	for name, answer := range map[string]func(http.ResponseWriter){
		"a page":                   page(404, isHTML, "<html>Not Found</html>"),
		"a router's text":          page(404, "text/plain; charset=utf-8", "404 page not found\n"),
		"a default backend's text": page(404, "text/plain", "default backend - 404"),
		"a gateway's JSON":         page(404, isJSON, `{"message":"no Route matched with those values"}`),
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t)
			title := uuid.NewString()
			f.set(nil)
			var made struct {
				Response struct {
					ID string `json:"id"`
				} `json:"response"`
			}
			if r := s.result(s.create(title)); json.Unmarshal([]byte(r.data), &made) != nil || made.Response.ID == "" {
				t.Fatalf("no task was made: %s", r.data)
			}
			f.once(answer)
			if r := s.result(s.command("deleteTask", fmt.Sprintf(`{"taskId":%q}`, made.Response.ID), nil)); r.outcome != "rejected" || s.tasks(title) != 1 {
				t.Errorf("%s, while factro has %d tasks, want a rejection: %s", r.outcome, s.tasks(title), r.data)
			}
		})
	}
}

// A whole queue is not applied by a maintenance page: it waits, and is done when factro is back.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	f := &facade{}
	s := open(t, setting{core: f.before})
	f.set(func(w http.ResponseWriter, _ *http.Request) bool {
		page(200, isHTML, "<html>Wartung</html>")(w)
		return true
	})
	var ids, titles []string
	for range 10 {
		titles = append(titles, uuid.NewString())
		ids = append(ids, s.create(titles[len(titles)-1]))
	}
	s.await("the breaker opens", func() bool { return s.metric("factro_bridge_breaker_state") == 2 })
	if n := len(s.messages("factro.result.acme.*.*.applied")); n > 0 {
		t.Fatalf("%d commands are applied by a maintenance page", n)
	}
	f.set(nil)
	for i, id := range ids {
		if r := s.result(id); r.outcome != "applied" || s.tasks(titles[i]) != 1 {
			t.Errorf("%s, %d tasks: %s", r.outcome, s.tasks(titles[i]), r.data)
		}
	}
}

// Who says when to come again is not asked before, whatever the status.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		after  func() string
	}{
		"503, seconds": {503, func() string { return "4" }},
		"503, a date":  {503, func() string { return time.Now().Add(5 * time.Second).UTC().Format(http.TimeFormat) }},
		"429, seconds": {429, func() string { return "4" }},
		"500, seconds": {500, func() string { return "4" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &facade{}
			s := open(t, setting{core: f.before})
			f.once(func(w http.ResponseWriter) { w.Header().Set("Retry-After", tt.after()); w.WriteHeader(tt.status) })
			title := uuid.NewString()
			if r := s.result(s.create(title)); r.outcome != "applied" || s.tasks(title) != 1 {
				t.Errorf("%s, %d tasks: %s", r.outcome, s.tasks(title), r.data)
			}
			times := f.times()
			if len(times) < 2 || times[1].Sub(times[0]) < 3*time.Second {
				t.Errorf("asked at %v, want a pause of 4 s after the first", times)
			}
		})
	}
}

// The same of a look-up: what a create without an answer has made is looked for no sooner, and it is made once.
func TestRetryAfterOfALookUp(t *testing.T) {
	t.Parallel()
	f := &facade{}
	s := open(t, setting{core: f.before})
	core := s.sim.Handler()
	var made, asked sync.Once
	f.set(func(w http.ResponseWriter, r *http.Request) (taken bool) {
		if r.Method == http.MethodPost {
			made.Do(func() { // factro makes it, and the answer is cut in the middle of its chunks
				taken = true
				got := httptest.NewRecorder()
				core.ServeHTTP(got, r)
				w.Header().Set("Content-Type", isJSON)
				_, _ = io.WriteString(w, got.Body.String()[:20])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			return taken
		}
		asked.Do(func() {
			taken = true
			w.Header().Set("Retry-After", "4")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		return taken
	})
	title := uuid.NewString()
	if r := s.result(s.create(title)); r.outcome != "applied" || s.tasks(title) != 1 {
		t.Errorf("%s, %d tasks: %s", r.outcome, s.tasks(title), r.data)
	}
	if times := f.times(); len(times) < 3 || times[2].Sub(times[1]) < 3*time.Second {
		t.Errorf("asked at %v, want a pause of 4 s after the second", times)
	}
}

// A Retry-After of thirty years does not stop the cloud for thirty years: it counts for an hour, and whoever asks hears so.
func TestEndlessRetryAfter(t *testing.T) {
	t.Parallel()
	f := &facade{}
	s := open(t, setting{core: f.before})
	f.once(func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "999999999")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s.create(uuid.NewString())
	s.await("the cloud rests for an hour", func() bool {
		reply, err := s.nc.Request("factro.query.acme.status", nil, patience)
		if err != nil {
			return false
		}
		var got status.Status
		must(t, json.Unmarshal(reply.Data, &got))
		if got.Paused == nil || got.Paused.RetryAt == nil {
			return false
		}
		wait := time.Until(*got.Paused.RetryAt)
		return got.Paused.Reason == status.ReasonAskedToWait && wait > 50*time.Minute && wait <= time.Hour
	})
	if n := len(f.times()); n != 1 {
		t.Errorf("factro was asked %d times", n)
	}
}

// A server that closes idle connections as the next request goes out makes no command ambiguous, not even one that cannot be
// looked for.
func TestClosedIdleConnections(t *testing.T) {
	t.Parallel()
	const idle = 5 * time.Second // of Node and others
	s := open(t, setting{})
	front := &http.Server{Handler: s.sim.Handler(), IdleTimeout: idle, ReadHeaderTimeout: time.Minute}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = front.Serve(l) }() // ends with the row
	t.Cleanup(func() { _ = front.Close() })
	s.bridge.Kill()
	s.core = "http://" + l.Addr().String() + "/api/core"
	s.start()
	for _, pause := range []time.Duration{0, idle - 3*time.Millisecond, idle, idle + 2*time.Millisecond} {
		time.Sleep(pause) //nolint:forbidigo // the row is about this time
		id := s.command("createTasks", fmt.Sprintf(`{"items":[{"title":%q,"targetParentId":%q}]}`, uuid.NewString(), examplePackage), nil)
		if r := s.result(id); r.outcome != "applied" {
			t.Errorf("after %s: %s: %s", pause, r.outcome, r.data)
		}
	}
}

// Texts that mean the same are the same: a create whose answer was lost is found again.
func TestLookUps(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ sent, kept string }{
		"composed and decomposed letters": {"Prüfung", "Pru\u0308fung"},
		"decomposed and composed letters": {"Pru\u0308fung", "Prüfung"},
		"line ends":                       {"eins\\r\\nzwei", "eins\nzwei"},
		"trailing blanks":                 {"Prüfung  ", "Prüfung"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &facade{}
			s := open(t, setting{core: f.before})
			core := s.sim.Handler()
			var made sync.Once
			f.set(func(w http.ResponseWriter, r *http.Request) (taken bool) {
				if r.Method != http.MethodPost {
					return false
				}
				made.Do(func() { // factro makes it in its own way, and the answer is lost
					taken = true
					text, _ := io.ReadAll(r.Body)
					changed := strings.Replace(string(text), tt.sent, strings.ReplaceAll(tt.kept, "\n", "\\n"), 1)
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
					r.Header.Set("Content-Length", fmt.Sprint(len(changed)))
					core.ServeHTTP(&lost{header: http.Header{}}, r)
					w.WriteHeader(http.StatusBadGateway)
				})
				return taken
			})
			before := s.sim.Count("task", nil)
			id := s.command("createTask", fmt.Sprintf(`{"title":"%s","targetParentId":%q}`, tt.sent, factro.ExamplePackage), nil)
			if r := s.result(id); r.outcome != "applied" {
				t.Errorf("%s: %s", r.outcome, r.data)
			}
			if n := s.sim.Count("task", nil) - before; n != 1 {
				t.Errorf("factro has %d new tasks, want 1", n)
			}
		})
	}
}

// lost is an answer that nobody gets.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(b []byte) (int, error) { return len(b), nil }
func (l *lost) WriteHeader(int)             {}
