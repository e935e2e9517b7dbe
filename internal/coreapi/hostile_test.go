package coreapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// raw is a server that answers each request with bytes, and goes on until the client has gone.
func raw(t testing.TB, answer func(io.Writer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				var request [4 << 10]byte
				if _, err := conn.Read(request[:]); err == nil {
					answer(conn)
				}
				_, _ = io.Copy(io.Discard, conn) // until the client closes
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// forever writes something again and again, until that fails.
func forever(w io.Writer, text string, pause time.Duration) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		if pause > 0 {
			time.Sleep(pause) //nolint:forbidigo // the pace of a server
		}
	}
}

func says(text string) func(io.Writer) {
	return func(w io.Writer) { _, _ = io.WriteString(w, text) }
}

// whole is an answer that is good HTTP.
func whole(status, kind, body string) func(io.Writer) {
	return says(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, kind, len(body), body))
}

// bomb is a gigabyte of blanks, in a megabyte: as many parts, which a reader of gzip joins.
func bomb(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Repeat(b.String(), 1<<10)
}

// TestHostileAnswers: whatever a server answers, a call ends soon after its timeout and is taken for
// neither a success nor a refusal: as an answer to a command, to a query and to a look.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	const ok200 = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	packed := bomb(t)
	for name, answer := range map[string]func(io.Writer){
		"101":             says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
		"100 without end": func(w io.Writer) { forever(w, "HTTP/1.1 100 Continue\r\n\r\n", 0) },
		"102, slowly":     func(w io.Writer) { forever(w, "HTTP/1.1 102 Processing\r\n\r\n", 10*time.Millisecond) },
		"103 without end": func(w io.Writer) { forever(w, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0) },
		"endless header":  func(w io.Writer) { _, _ = io.WriteString(w, ok200+"X: "); forever(w, strings.Repeat("x", 1<<12), 0) },
		"many headers":    func(w io.Writer) { _, _ = io.WriteString(w, ok200); forever(w, "X-Junk: 1\r\n", 0) },
		"endless body":    func(w io.Writer) { _, _ = io.WriteString(w, ok200+"\r\n{"); forever(w, strings.Repeat(" ", 1<<12), 0) },
		"endless text": func(w io.Writer) {
			_, _ = io.WriteString(w, ok200+"\r\n[\"")
			forever(w, strings.Repeat("x", 1<<12), 0)
		},
		"endless depth":    func(w io.Writer) { _, _ = io.WriteString(w, ok200+"\r\n"); forever(w, strings.Repeat("[", 1<<12), 0) },
		"a byte at a time": func(w io.Writer) { _, _ = io.WriteString(w, ok200+"\r\n["); forever(w, " ", 20*time.Millisecond) },
		"bomb":             says(ok200 + "Content-Encoding: gzip\r\nContent-Length: " + fmt.Sprint(len(packed)) + "\r\n\r\n" + packed),
		"unknown encoding": says(ok200 + "Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"),
		"length too long":  says(ok200 + "Content-Length: 1000\r\n\r\n{\"id\":\"t-1\"}"),
		"length too short": says(ok200 + "Content-Length: 5\r\n\r\n{\"id\":\"t-1\"}"),
		"two lengths":      says(ok200 + "Content-Length: 2\r\nContent-Length: 12\r\n\r\n{\"id\":\"t-1\"}"),
		"endless trailer": func(w io.Writer) {
			_, _ = io.WriteString(w, ok200+"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
			forever(w, "X: 1\r\n", 0)
		},
		"no HTTP":           says("SSH-2.0-OpenSSH_9.6\r\n"),
		"HTTP/0.9":          says("<html>hello</html>"),
		"no status":         says("HTTP/1.1 banana OK\r\n\r\n"),
		"status 000":        says("HTTP/1.1 000 \r\n\r\n"),
		"silence":           func(io.Writer) {},
		"redirect":          says("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"),
		"redirect, 308":     says("HTTP/1.1 308 Permanent Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
		"not modified":      says("HTTP/1.1 304 Not Modified\r\n\r\n"),
		"part":              whole("206 Partial Content", "application/json", `{"id":"t-1"}`),
		"page":              whole("200 OK", "text/html; charset=utf-8", "<p>sign in</p>"),
		"page without type": whole("200 OK", "", "<p>sign in</p>"),
		"empty object":      whole("200 OK", "application/json", "{}"),
		"error":             whole("200 OK", "application/json", `{"id":"1","error":"expired"}`),
		"cut JSON":          whole("200 OK", "application/json", `{"id":"t-1"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := raw(t, answer)
			var all sync.WaitGroup
			for _, operation := range askedOfHostile {
				all.Go(func() { wantUnknown(t, url, operation) })
			}
			all.Wait()
		})
	}
}

// wantUnknown makes a call that comes to nothing.
func wantUnknown(t *testing.T, url, operation string) {
	t.Helper()
	api, err := New(Config{
		Cloud: "acme", URL: url, Key: secret.Source{Value: apitest.Key}, RequestsPerMinute: 480, Timeout: time.Second,
		UserAgent: "test",
	}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Error(err)
		return
	}
	op, _ := factro.Lookup(operation)
	try := Attempt{Op: op, Number: 1}
	if op.Answer == factro.AnswerList {
		try.Take, try.Counts = func(r io.Reader) error { return shape.Records(r, func([]byte) error { return nil }) }, true
	}
	began := time.Now()
	got, j := api.Exchange(t.Context(), try, translate.Call{Method: op.Method, Target: "/x"}, apitest.Key)
	if d := time.Since(began); d > longestHostile { // what comes steadily is read for a while
		t.Errorf("%s took %s", operation, d)
	}
	if j != Unknown {
		t.Errorf("%s is judged %d: %d, %v, %v, %.100s", operation, j, got.Status, got.Err, got.Malformed, got.Body)
	}
	if api.gate.breaker.Counts().TotalFailures != 1 {
		t.Errorf("%s does not count against the breaker", operation)
	}
}

// stubborn is a transport that ignores its context: it never answers, or with a body that never ends.
type stubborn struct{ answers bool }

func (s stubborn) RoundTrip(*http.Request) (*http.Response, error) {
	if !s.answers {
		select {}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: deaf{}}, nil
}

type deaf struct{}

func (deaf) Read([]byte) (int, error) { select {} }
func (deaf) Close() error             { select {} }

// TestStubbornTransport: a call ends by itself, whatever the library below it does.
func TestStubbornTransport(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{false, true} {
		api, err := New(Config{
			Cloud: "acme", URL: "http://factro.test", Key: secret.Source{Value: apitest.Key},
			RequestsPerMinute: 480, Timeout: time.Second, UserAgent: "test",
		}, stubborn{answers}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for _, take := range []func(io.Reader) error{nil, func(r io.Reader) error { _, err := io.ReadAll(r); return err }} {
			began := time.Now()
			got, j := api.Exchange(t.Context(), Attempt{Op: Probe, Number: 1, Take: take}, probeCall, apitest.Key)
			if d := time.Since(began); j != Unknown || d > 5*time.Second {
				t.Errorf("answers %t: after %s it is judged %d: %+v", answers, d, j, got)
			}
		}
	}
}
