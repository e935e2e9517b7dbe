package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// harness is one simulator and a client of it.
type harness struct {
	t   testing.TB
	sim *Sim
	key string
}

func start(t testing.TB, change func(*Config)) *harness {
	t.Helper()
	cfg := Config{Seed: 1}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &harness{t: t, sim: s, key: DefaultKey}
}

// reply is an answer with its body read.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (h *harness) request(method, path, contentType string, body []byte) *http.Request {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Authorization", h.key)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func (h *harness) send(r *http.Request) reply {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.sim.Handler().ServeHTTP(w, r)
	data, err := io.ReadAll(w.Result().Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{h.t, w.Code, w.Header(), data}
}

// core calls the Core API. A body that is text is sent as it is, anything else as JSON.
func (h *harness) core(method, path string, body any) reply {
	h.t.Helper()
	return h.call(method, corePath+path, body)
}

func (h *harness) control(path string, body any) reply {
	h.t.Helper()
	return h.call("PUT", controlPath+path, body)
}

func (h *harness) call(method, path string, body any) reply {
	h.t.Helper()
	if body == nil {
		return h.send(h.request(method, path, "", nil))
	}
	var data []byte
	if text, isText := body.(string); isText {
		data = []byte(text)
	} else {
		var err error
		if data, err = json.Marshal(body); err != nil {
			h.t.Fatal(err)
		}
	}
	return h.send(h.request(method, path, "application/json", data))
}

func (r reply) is(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r reply) says(text string) reply {
	r.t.Helper()
	if !strings.Contains(string(r.body), text) {
		r.t.Fatalf("body %s does not say %q", r.body, text)
	}
	return r
}

func (r reply) form(contentType string) reply {
	r.t.Helper()
	if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, contentType) {
		r.t.Fatalf("content type %q, want %q", got, contentType)
	}
	return r
}

func (r reply) object() tenant.Object {
	r.t.Helper()
	var o tenant.Object
	if err := tenant.Decode(r.body, &o); err != nil {
		r.t.Fatalf("%v: %s", err, r.body)
	}
	return o
}

func (r reply) list() []tenant.Object {
	r.t.Helper()
	var l []tenant.Object
	if err := tenant.Decode(r.body, &l); err != nil {
		r.t.Fatalf("%v: %s", err, r.body)
	}
	return l
}

// task creates a task in the demo package.
func (h *harness) task(title string) string {
	h.t.Helper()
	return h.core("POST", "/tasks", tenant.Object{"title": title, "targetParentId": factro.ExamplePackage}).is(200).object().ID()
}

func (h *harness) create(path string, body any) string {
	h.t.Helper()
	return h.core("POST", path, body).is(200).object().ID()
}

// clock is a clock that only a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func multipartBody(name, contentType, content string) (string, []byte) {
	return "multipart/form-data; boundary=XX", []byte("--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
		"\"\r\nContent-Type: " + contentType + "\r\n\r\n" + content + "\r\n--XX--\r\n")
}
