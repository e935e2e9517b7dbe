package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// odd is an answer of a Core API that is none: what it writes in place of one.
type odd struct {
	name   string
	answer func(io.Writer)
	steady bool // whether it goes on as long as a good answer may
}

func says(text string) func(io.Writer) {
	return func(w io.Writer) { _, _ = io.WriteString(w, text) } // the client may have gone
}

// whole is an answer that is good HTTP, and the last one on its connection.
func whole(status, header, body string) func(io.Writer) {
	return says(fmt.Sprintf("HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, header, len(body), body))
}

// forever writes a beginning and then a part again and again, until the client has gone.
func forever(begin, part string, pause time.Duration) func(io.Writer) {
	return func(w io.Writer) {
		for text := begin; ; text = part {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
			time.Sleep(pause) //nolint:forbidigo // the pace of the attack
		}
	}
}

// bomb is a gigabyte of blanks, packed.
var bomb = sync.OnceValue(func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for range 1 << 10 {
		_, _ = w.Write(blanks) // into memory
	}
	_ = w.Close()
	return b.String()
})

const (
	isOK   = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	isJSON = "Content-Type: application/json\r\n"
	isHTML = "Content-Type: text/html; charset=utf-8\r\n"
)

// transport are answers that are wrong as HTTP, or that never end.
func transport() []odd {
	return []odd{
		{"101", says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), false},
		{"100 without end", forever("", "HTTP/1.1 100 Continue\r\n\r\n", 0), false},
		{"103 without end", forever("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", time.Millisecond), false},
		{"a header without end", forever(isOK+"X: ", strings.Repeat("x", 1<<12), 0), false},
		{"headers without end", forever(isOK, "X-Junk: 1\r\n", 0), false},
		{"a text without end", forever(isOK+"\r\n[\"", strings.Repeat("x", 1<<14), 0), false},
		{"levels without end", forever(isOK+"\r\n", strings.Repeat("[", 1<<14), 0), false},
		{"elements without end", forever(isOK+"\r\n[1", strings.Repeat(",1", 1<<13), time.Millisecond), true},
		{"a byte at a time", forever(isOK+"\r\n[", " ", 20*time.Millisecond), false},
		{"bomb", says(isOK + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(bomb())) + bomb()), false},
		{"length too long", says(isOK + "Content-Length: 1000\r\n\r\n{\"id\":\"t-1\"}"), false},
		{"length too short", says(isOK + "Content-Length: 5\r\n\r\n{\"id\":\"t-1\"}"), false},
		{"trailer without end", forever(isOK+"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", "X: 1\r\n", 0), false},
		{"no HTTP", says("SSH-2.0-OpenSSH_9.6\r\n"), false},
		{"silence", func(io.Writer) {}, false},
		{"redirect", whole("302 Found", "Location: /api/core/users\r\n", ""), false},
		{"redirect of all", whole("308 Permanent Redirect", "Location: /api/core/tasks\r\n", ""), false},
	}
}

// shapes are answers with a status of success that are no answers of the API.
func shapes() []odd {
	return []odd{
		{"page", whole("200 OK", isHTML, "<h1>Wartung</h1>"), false},
		{"page without a type", whole("200 OK", "", "<!DOCTYPE html><h1>Anmelden</h1>"), false},
		{"page as JSON", whole("200 OK", isJSON, "<h1>Wartung</h1>"), false},
		{"empty object", whole("200 OK", isJSON, "{}"), false},
		{"error", whole("200 OK", isJSON, `{"error":"Session expired"}`), false},
		{"error with an id", whole("201 Created", isJSON, `{"id":"req-1","error":"Session expired"}`), false},
		{"another object", whole("200 OK", isJSON, `{"status":"ok"}`), false},
		{"cut JSON", whole("200 OK", isJSON, `{"id":"t-1","title":"x`), false},
		{"large", whole("200 OK", isJSON, `{"id":"t-1","title":"`+strings.Repeat("x", 9<<20)+`"}`), false},
		{"a part", whole("206 Partial Content", isJSON, `{"id":"t-1"}`), false},
		{"text", whole("200 OK", "Content-Type: text/plain\r\n", "OK"), false},
	}
}

// facade answers the configured calls of acme, in place of the simulator.
type facade struct {
	mu   sync.Mutex
	odd  func(io.Writer)
	left map[string]int // how many more calls of a method are answered so; below zero all of them
	path string         // only calls with this in their path, if it is set
	hits int
}

func (f *facade) set(answer func(io.Writer), left map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.odd, f.left = answer, left
}

func (f *facade) take(r *http.Request) func(io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.odd == nil || f.left[r.Method] == 0 || !strings.Contains(r.URL.Path, f.path) {
		return nil
	}
	f.left[r.Method]--
	f.hits++
	return f.odd
}

func (f *facade) before(core http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := f.take(r)
		if answer == nil {
			core.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = conn.Close() }()
		answer(conn)
		_, _ = io.Copy(io.Discard, conn) // until the bridge closes
	})
}

// With every odd answer once to an update, a create and a query, nothing is taken for a success, all of it is made good, and
// beta does not notice.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	attacking(t) // before a gigabyte is packed
	for name, answers := range map[string]func() []odd{"transport": transport, "shapes": shapes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &facade{}
			w := newWorld(t, "the Core API gives odd answers: "+name, setting{
				apiMore: "timeout: 1s", core: map[string]func(http.Handler) http.Handler{acme: f.before},
				bound: time.Duration(scale(4, 30)) * time.Minute,
			})
			for n, o := range answers() {
				for range 2 { // good ones between, or the breaker would rightly open
					w.result(w.send(command{cloud: acme}))
				}
				f.set(o.answer, map[string]int{http.MethodPut: 1})
				update := w.send(command{cloud: acme, operation: "updateTask", data: fmt.Sprintf(`{"taskId":%q,"title":"x"}`, factro.ExampleTask)})
				if r := w.result(update); r.outcome != events.Applied {
					t.Errorf("%s: an update is %s: %s", o.name, r.outcome, r.data)
				}
				if n%4 == 0 || scale(0, 1) == 1 {
					f.set(o.answer, map[string]int{http.MethodPost: 1})
					create := w.send(command{cloud: acme})
					if r := w.result(create); r.outcome != events.Applied {
						t.Errorf("%s: a create is %s: %s", o.name, r.outcome, r.data)
					}
					if n := w.factro[acme].tasks(create.id); n != 1 {
						t.Errorf("%s: the create has made %d tasks, want one", o.name, n)
					}
				}
				if o.steady {
					continue // is read for minutes
				}
				f.set(o.answer, map[string]int{http.MethodGet: 1})
				msg, err := w.query(acme, "task", "listTasks", "{}", 20*time.Second)
				if err != nil || msg.Header.Get("Nats-Service-Error-Code") == "" {
					t.Errorf("%s: a query is answered: %v, %.100s", o.name, err, text(msg))
				}
			}
			f.set(nil, nil)
			w.aftermath(beta, acme)
		})
	}
}

func text(msg *nats.Msg) []byte {
	if msg == nil {
		return nil
	}
	return msg.Data
}

// While the Core API answers nothing but 101, or nothing at all, to every call, the bridge ends within its bound.
func TestOddAnswersForEver(t *testing.T) {
	t.Parallel()
	attacking(t) // before a gigabyte is packed
	for _, o := range []odd{transport()[0], transport()[6], shapes()[0], {"silence", func(io.Writer) {}, false}} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			f := &facade{}
			f.set(o.answer, map[string]int{http.MethodGet: -1, http.MethodPut: -1, http.MethodPost: -1})
			w := newWorld(t, "the Core API answers everything so: "+o.name, setting{
				roles: []string{"ingress, egress, query, reconcile"}, config: "reconcile: {every: 1s, grace: 1s, overlap: 10s}\n",
				core: map[string]func(http.Handler) http.Handler{acme: f.before},
			})
			var sent []command
			for range scale(20, 200) {
				sent = append(sent, w.send(command{cloud: acme, unaccounted: true}))
			}
			w.pause(time.Duration(scale(3, 60)) * time.Second)
			w.usual(beta)
			w.aftermath(beta)
			for _, c := range sent {
				if r, found := w.books.resultOf(c); found && r.outcome == events.Applied {
					t.Errorf("a command is applied: %s", r.data)
				}
			}
		})
	}
}

// A list of stored payloads that is none brings no events, and no words about gaps.
func TestOddStoredPayloads(t *testing.T) {
	t.Parallel()
	f := &facade{path: "/webhook/"}
	w := newWorld(t, "the list for reconciliation is odd", setting{
		roles: []string{"ingress, egress, query, reconcile"}, config: "reconcile: {every: 1s, grace: 1s, overlap: 10s}\n", apiMore: "timeout: 1s",
		core: map[string]func(http.Handler) http.Handler{acme: f.before},
	})
	gaps, err := w.nc.SubscribeSync(string(prefix) + ".event.acme.bridge.>")
	must(t, err)
	for _, o := range slices.Concat(shapes(), transport())[:scale(20, 28)] {
		if o.steady && scale(0, 1) == 0 {
			continue
		}
		f.set(o.answer, map[string]int{http.MethodGet: 1})
		w.await("reconciliation asks, and is answered: "+o.name, func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.left[http.MethodGet] == 0
		})
	}
	f.set(nil, nil)
	if n, _, err := gaps.Pending(); err != nil || n > 0 {
		t.Errorf("%d words about gaps, %v", n, err)
	}
	w.aftermath(beta, acme)
}

// A Core API that sends the key back in every way brings it nowhere.
func TestEchoedKey(t *testing.T) {
	t.Parallel()
	key := keyOf(acme)
	forms := []string{key, base64.StdEncoding.EncodeToString([]byte(key)), base64.StdEncoding.EncodeToString([]byte("x" + key)), strings.ReplaceAll(key, "-", "%2d")}
	echo := strings.Join(forms, " ")
	f := &facade{}
	w := newWorld(t, "the Core API sends the key back", setting{core: map[string]func(http.Handler) http.Handler{acme: f.before}})
	var seen []byte
	listen := func(subject string) {
		_, err := w.nc.Subscribe(subject, func(msg *nats.Msg) {
			f.mu.Lock()
			defer f.mu.Unlock()
			seen = append(append(seen, fmt.Sprint(msg.Header)...), msg.Data...)
		})
		must(t, err)
	}
	listen(string(prefix) + ".result.acme.>")
	listen(string(prefix) + ".dead.>")
	listen("$KV.>")
	for _, o := range []odd{
		{"applied", whole("200 OK", isJSON, `{"id":"t-1","title":"`+echo+`"}`), false},
		{"refused", whole("400 Bad Request", "Content-Type: text/plain\r\nX-Key: "+key+"\r\n", echo), false},
		{"malformed", whole("200 OK", isJSON, `{"error":"`+echo+`"}`), false},
		{"no HTTP", says(key + " " + key + "\r\n"), false},
		{"unasked", says(isOK + "Content-Length: 12\r\n\r\n{\"id\":\"t-1\"}HTTP/1.1 200 " + key + "\r\n\r\n" + key), false},
	} {
		f.set(o.answer, map[string]int{http.MethodPut: 1, http.MethodGet: 1})
		w.result(w.send(command{cloud: acme, operation: "updateTask", data: fmt.Sprintf(`{"taskId":%q,"title":"x"}`, factro.ExampleTask)}))
		msg, err := w.query(acme, "task", "getTask", fmt.Sprintf(`{"taskId":%q}`, factro.ExampleTask), 20*time.Second)
		must(t, err)
		f.mu.Lock()
		seen = append(append(seen, fmt.Sprint(msg.Header)...), msg.Data...)
		f.mu.Unlock()
	}
	f.set(nil, nil)
	must(t, w.nc.Flush())
	f.mu.Lock()
	for _, form := range forms {
		if at := bytes.Index(seen, []byte(form[4:len(form)-4])); at >= 0 {
			t.Errorf("the key is seen: %s", seen[max(0, at-200):at+20])
		}
	}
	if n := bytes.Count(seen, []byte("[hidden]")); n < 8 {
		t.Errorf("the key is hidden in %d places; the answers did not get through", n)
	}
	f.mu.Unlock()
	w.aftermath(beta, acme)
}

// Headers that would teach the bridge nonsense teach it nothing.
func TestOddHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "every answer is of 2100 and has a budget of nothing for years", setting{
		core: map[string]func(http.Handler) http.Handler{acme: func(core http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				core.ServeHTTP(&liar{w}, r)
			})
		}},
	})
	for range 10 {
		if r := w.result(w.send(command{cloud: acme})); r.outcome != events.Applied {
			t.Errorf("a create is %s: %s", r.outcome, r.data)
		}
	}
	if n := w.factro[acme].Count("task", func(o map[string]any) bool {
		at, _ := o["creationDate"].(string)
		return strings.HasPrefix(at, "21")
	}); n > 0 {
		t.Errorf("%d tasks were made in 2100", n)
	}
	w.aftermath(beta, acme)
}

// liar changes the headers of an answer.
type liar struct{ http.ResponseWriter }

func (l *liar) WriteHeader(status int) {
	h := l.Header()
	h.Set("Date", "Fri, 01 Jan 2100 00:00:00 GMT")
	h.Set("Ratelimit", `"x"; r=0; t=2000000000`)
	h.Set("Ratelimit-Policy", `"x"; q=2000000000; w=60`)
	l.ResponseWriter.WriteHeader(status)
}
