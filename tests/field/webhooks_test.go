package field

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
)

// delivery is a row: a webhook as some sender or proxy makes it.
type delivery struct {
	name   string
	pack   func(good string) request // of a good body, which names a fresh object
	status int
	// want is the event's data if it is not the good body; "dead" for a dead letter, "-" for nothing at all.
	want string
	also func(t *testing.T, s *site, r reply, entity string)
}

func as(header map[string][]string, change func(good string) string) func(string) request {
	return func(good string) request {
		if change != nil {
			good = change(good)
		}
		return request{body: good, header: header}
	}
}

func contentType(v string) map[string][]string { return map[string][]string{"Content-Type": {v}} }
func encoded(v ...string) map[string][]string  { return map[string][]string{"Content-Encoding": v} }

// latin1 is a text whose runes all fit into one byte.
func latin1(text string) string {
	var b []byte
	for _, r := range text {
		b = append(b, byte(r))
	}
	return string(b)
}

func utf16(text string, little bool) string {
	var b []byte
	for _, r := range text { // of the basic plane
		if little {
			b = append(b, byte(r), byte(r>>8))
		} else {
			b = append(b, byte(r>>8), byte(r))
		}
	}
	return string(b)
}

func packed(w func(io.Writer) io.WriteCloser) func(string) string {
	return func(text string) string {
		var b bytes.Buffer
		z := w(&b)
		_, _ = io.WriteString(z, text) // into memory
		_ = z.Close()
		return b.String()
	}
}

var (
	asGzip    = packed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	asZlib    = packed(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	asDeflate = packed(func(w io.Writer) io.WriteCloser {
		z, err := flate.NewWriter(w, flate.DefaultCompression)
		if err != nil {
			panic(err) // the level is a constant
		}
		return z
	})
	asBrotli = packed(func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
	asZstd   = packed(func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err) // there are no options
		}
		return z
	})
)

// bomb is a body of 200 MB of blanks, packed.
func bomb(string) string { return asGzip(strings.Repeat(" ", 200<<20)) }

// titled is a body with a title, into which text is put as it is.
func titled(text string) func(string) string {
	return func(good string) string {
		return strings.Replace(good, `"context":{`, `"context":{"title":"`+text+`",`, 1)
	}
}

var bodies = []delivery{
	{name: "byte order mark", pack: as(nil, func(good string) string { return "\xef\xbb\xbf" + good }), status: 202},
	{name: "charset ISO-8859-1", pack: as(contentType("application/json; charset=ISO-8859-1"), func(good string) string { return latin1(titled("Prüfung")(good)) }), status: 202, also: dataHas("Prüfung")},
	{name: "charset windows-1252, quoted", pack: as(contentType(`application/json; charset="windows-1252"`), func(good string) string {
		return strings.ReplaceAll(titled("5 €")(good), "€", "\x80")
	}), status: 202, also: dataHas("5 €")},
	{name: "charset UTF-16LE with a mark", pack: as(contentType("application/json; charset=utf-16le"), func(good string) string { return "\xff\xfe" + utf16(titled("Prüfung")(good), true) }), status: 202, also: dataHas("Prüfung")},
	{name: "charset UTF-16BE", pack: as(contentType("application/json; charset=utf-16be"), func(good string) string { return utf16(titled("Prüfung")(good), false) }), status: 202, also: dataHas("Prüfung")},
	{name: "charset UTF8 in capitals", pack: as(contentType("application/json; charset=UTF-8"), titled("Prüfung")), status: 202, also: dataHas("Prüfung")},
	{name: "unknown charset", pack: as(contentType("application/json; charset=klingon"), nil), status: 415, want: "-"},
	{name: "invalid UTF-8 without a charset", pack: as(nil, func(good string) string { return latin1(titled("Prüfung")(good)) }), status: 400, want: "dead"},
	{name: "gzip", pack: as(encoded("gzip"), asGzip), status: 202},
	{name: "x-gzip", pack: as(encoded("x-gzip"), asGzip), status: 202},
	{name: "deflate with zlib's header", pack: as(encoded("deflate"), asZlib), status: 202},
	{name: "deflate without a header", pack: as(encoded("deflate"), asDeflate), status: 202},
	{name: "deflate with more behind it", pack: as(encoded("deflate"), func(good string) string { return asZlib(good) + good }), status: 400, want: "dead"},
	{name: "two gzips in one", pack: as(encoded(" GZIP "), func(good string) string { return asGzip(good[:9]) + asGzip(good[9:]) }), status: 202},
	{name: "brotli", pack: as(encoded("br"), asBrotli), status: 202},
	{name: "zstd", pack: as(encoded("zstd"), asZstd), status: 202},
	{name: "identity", pack: as(encoded("identity"), nil), status: 202},
	{name: "two encodings", pack: as(encoded("deflate, gzip"), func(good string) string { return asGzip(asZlib(good)) }), status: 202},
	{name: "unknown encoding", pack: as(encoded("compress"), nil), status: 415, want: "-", also: says("gzip", "deflate", "br", "zstd")},
	{name: "gzip bomb", pack: as(encoded("gzip"), bomb), status: 413, want: "-"},
	{name: "gzip that was cut", pack: as(encoded("gzip"), func(good string) string { z := asGzip(good); return z[:len(z)-9] }), status: 400, want: "-"},
	{name: "gzip that is none", pack: as(encoded("gzip"), nil), status: 400, want: "-"},
	{name: "no content type", pack: as(map[string][]string{"Content-Type": nil}, nil), status: 202},
	{name: "content type text/plain", pack: as(contentType("text/plain"), nil), status: 202},
	{name: "content type application/vnd.factro+json", pack: as(contentType("application/vnd.factro+json"), nil), status: 202},
	{name: "a date that means none", pack: as(nil, dated("0001-01-01T00:00:00Z")), status: 202, also: timed},
	{name: "the beginning of Unix time", pack: as(nil, dated("1970-01-01T00:00:00Z")), status: 202, also: timed},
	{name: "a date of the year 9999", pack: as(nil, dated("9999-12-31T23:59:59Z")), status: 202, also: timed},
}

func dated(at string) func(string) string {
	return func(good string) string {
		return strings.Replace(good, `{"action"`, `{"createdAt":"`+at+`","timestamp":"`+at+`","date":"`+at+`","action"`, 1)
	}
}

func dataHas(text string) func(*testing.T, *site, reply, string) {
	return func(t *testing.T, s *site, _ reply, entity string) {
		t.Helper()
		if msg := s.event(entity); !bytes.Contains(msg.Data, []byte(text)) {
			t.Errorf("the event's data is %q, want one with %q", msg.Data, text)
		}
	}
}

func says(texts ...string) func(*testing.T, *site, reply, string) {
	return func(t *testing.T, _ *site, r reply, _ string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(r.body+fmt.Sprint(r.header), text) {
				t.Errorf("the answer is %q, want one with %q", r.body, text)
			}
		}
	}
}

// timed: the event's time is about now.
func timed(t *testing.T, s *site, _ reply, entity string) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s.event(entity).Header.Get("ce-time"))
	if err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("the event is of %s, %v", at, err)
	}
}

// The data of an event that says that it is JSON is JSON for every reader, and otherwise the bytes that came.
func TestBodies(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	for _, tt := range bodies {
		t.Run(tt.name, func(t *testing.T) {
			s.in(t)
			entity := uuid.NewString()
			good := body(entity)
			dead := len(s.messages("factro.dead.webhook.acme"))
			r := s.send(tt.pack(good))
			if r.status != tt.status {
				t.Fatalf("%d %s, want %d", r.status, r.body, tt.status)
			}
			switch tt.want {
			case "-":
			case "dead":
				s.await("a dead letter", func() bool { return len(s.messages("factro.dead.webhook.acme")) == dead+1 })
			default:
				msg := s.event(entity)
				if !json.Valid(msg.Data) || tt.also == nil && string(msg.Data) != good {
					t.Errorf("the event's data is %q, want %q", msg.Data, good)
				}
				if got := msg.Header.Get("ce-datacontenttype") + msg.Header.Get("content-type"); !strings.Contains(got, "json") {
					t.Errorf("the event's type is %q", got)
				}
			}
			if tt.also != nil {
				tt.also(t, s, r, entity)
			}
		})
	}
}

// Ids: what is one event, and what are two.
func TestIDs(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	for name, tt := range map[string]struct {
		bodies []string
		events int
	}{
		"an id that names the webhook":            {[]string{`{"id":"hook-1","action":"A","context":{"entityId":"$1"}}`, `{"id":"hook-1","action":"A","context":{"entityId":"$2"}}`}, 2},
		"an id that names the object":             {[]string{`{"id":"$1","action":"A","context":{"entityId":"$1"},"v":1}`, `{"id":"$1","action":"A","context":{"entityId":"$1"},"v":2}`}, 2},
		"a long id, the same delivery twice":      {[]string{`{"id":"` + strings.Repeat("i", 300) + `$1","action":"A","context":{"entityId":"$1"}}`, `{"id":"` + strings.Repeat("i", 300) + `$1","action":"A","context":{"entityId":"$1"}}`}, 1},
		"the same delivery twice":                 {[]string{`{"id":"$1","action":"A","context":{"entityId":"$1"}}`, `{"id":"$1","action":"A","context":{"entityId":"$1"}}`}, 1},
		"ids of lone surrogates":                  {[]string{`{"id":"\ud800","action":"A","context":{"entityId":"$1"}}`, `{"id":"\ud801","action":"A","context":{"entityId":"$2"}}`}, 2},
		"ids of lone surrogates, the same object": {[]string{`{"id":"\ud800","action":"A","context":{"entityId":"$1"}}`, `{"id":"\ud801","action":"A","context":{"entityId":"$1"}}`}, 2},
		"ids that differ beyond 2^53":             {[]string{`{"id":9007199254740992,"action":"A","context":{"entityId":"$1"}}`, `{"id":9007199254740993,"action":"A","context":{"entityId":"$2"}}`}, 2},
		"no ids, and different bodies":            {[]string{`{"action":"A","context":{"entityId":"$1"}}`, `{"action":"B","context":{"entityId":"$1"}}`}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t)
			one, two := uuid.NewString(), uuid.NewString()
			for _, text := range tt.bodies {
				if r := s.send(request{body: strings.NewReplacer("$1", one, "$2", two).Replace(text)}); r.status != http.StatusAccepted {
					t.Fatalf("%d %s", r.status, r.body)
				}
			}
			n := 0
			for _, msg := range s.messages("factro.event.acme.>") {
				if bytes.Contains(msg.Data, []byte(one)) || bytes.Contains(msg.Data, []byte(two)) {
					n++
				}
			}
			if n != tt.events {
				t.Errorf("%d events, want %d", n, tt.events)
			}
		})
	}
	t.Run("a repetition is counted", func(t *testing.T) {
		s.in(t)
		before := s.metric("factro_bridge_publish_duplicates_total", "repetition")
		text := fmt.Sprintf(`{"id":%q,"action":"A","context":{"entityId":"x"}}`, uuid.NewString())
		s.send(request{body: text})
		s.send(request{body: text})
		s.await("the counter", func() bool {
			return s.metric("factro_bridge_publish_duplicates_total", "repetition") == before+1
		})
	})
	t.Run("an entity id that is a number", func(t *testing.T) {
		s.in(t)
		s.send(request{body: `{"action":"Numbered","context":{"entityId":90071992547409931234}}`})
		s.await("the event", func() bool { return len(s.messages("factro.event.acme.*.90071992547409931234.Numbered")) == 1 })
	})
}

// Which of two bodies came first with an id is known to the stream, also when the bridge was restarted in between.
func TestRepetitionAfterARestart(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	text := func(n int) string {
		return fmt.Sprintf(`{"id":"t-1","action":"A","context":{"entityId":"t-1"},"n":%d}`, n)
	}
	for i, n := range []int{1, 2, 1, 2} {
		if r := s.send(request{body: text(n)}); r.status != http.StatusAccepted {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if i == 0 {
			s.bridge.Kill()
			s.start()
			s.await("the bridge is ready", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
		}
	}
	if n := len(s.messages("factro.event.acme.>")); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// A sender that follows a redirect from http to https turns its POST into a GET, and is not to believe that all is well.
func TestRedirected(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s.in(t)
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://"+s.http+r.URL.Path, status)
			}))
			t.Cleanup(proxy.Close)
			entity := uuid.NewString()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, proxy.URL+"/webhooks/acme", strings.NewReader(body(entity)))
			must(t, err)
			req.Header.Set("X-Bridge-Key", webhookSecret)
			resp, err := http.DefaultClient.Do(req)
			must(t, err)
			_ = resp.Body.Close()
			if status < 307 {
				if resp.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%d, want 405: what was sent is gone", resp.StatusCode)
				}
				s.logs("redirect")
				return
			}
			if resp.StatusCode != http.StatusAccepted {
				t.Errorf("%d, want 202: the body comes along", resp.StatusCode)
			}
			s.event(entity)
		})
	}
}

// Requests that carry nothing, or in another way than a webhook does.
func TestMethods(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			s.in(t)
			if r := s.send(request{method: method}); r.status != http.StatusMethodNotAllowed {
				t.Errorf("%d, want 405", r.status)
			}
		})
	}
	t.Run("GET without a secret", func(t *testing.T) {
		s.in(t)
		if r := s.send(request{method: http.MethodGet, header: map[string][]string{"X-Bridge-Key": nil}}); r.status != http.StatusNoContent {
			t.Errorf("%d, want 204: it shows that the address is right", r.status)
		}
	})
	t.Run("GET with a body and without a secret", func(t *testing.T) {
		s.in(t)
		if r := s.send(request{method: http.MethodGet, body: body(uuid.NewString()), header: map[string][]string{"X-Bridge-Key": nil}}); r.status != http.StatusUnauthorized {
			t.Errorf("%d, want 401: it carries something that is not kept", r.status)
		}
	})
	t.Run("an empty body", func(t *testing.T) {
		s.in(t)
		if r := s.send(request{method: http.MethodPost}); r.status != http.StatusNoContent {
			t.Errorf("%d, want 204", r.status)
		}
		s.await("its metric", func() bool { return s.metric("factro_bridge_webhooks_total", `outcome="empty"`) == 1 })
		s.logs("no body")
	})
}
