package egress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// arrived is an upload as a server reads it.
type arrived struct {
	name, contentType string
	size              int64
	digest            [sha256.Size]byte
	length            int64 // what the request said of itself
	headers           int   // of the part
}

// uploads is an HTTP server that reads uploads without keeping them. before is called with the size so far.
func uploads(t testing.TB, before func(n int64)) (url string, all <-chan arrived) {
	t.Helper()
	got := make(chan arrived, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Error(err)
			return
		}
		parts := multipart.NewReader(r.Body, params["boundary"])
		part, err := parts.NextPart()
		if err != nil {
			t.Error(err)
			return
		}
		a := arrived{length: r.ContentLength, contentType: part.Header.Get("Content-Type"), headers: len(part.Header)}
		_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition")) // FileName would cut a path off
		if err != nil || disposition["name"] != "file" {
			t.Errorf("the part has %v: %v", part.Header, err)
		}
		a.name = disposition["filename"]
		sum := sha256.New()
		if a.size, err = io.Copy(io.MultiWriter(sum, progress(before)), part); err != nil {
			return // the sender broke off, and the test knows
		}
		sum.Sum(a.digest[:0])
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("there is another part: %v", err)
		}
		got <- a
		fmt.Fprint(w, `{"id":"d-1"}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, got
}

type progress func(n int64)

func (p progress) Write(b []byte) (int, error) {
	if p != nil {
		p(int64(len(b)))
	}
	return len(b), nil
}

// uploading is a rig whose factro is a real server.
func uploading(t testing.TB, url string) *rig {
	t.Helper()
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.URL = url })
	api, err := coreapi.New(r.cfg, nil, r.w.log)
	if err != nil {
		t.Fatal(err)
	}
	if r.w, err = New(api, Config{Prefix: "factro"}, Stores{Results: r.stores, Ledger: r.stores, Files: r.stores, Keys: r.keys}, r.w.log); err != nil {
		t.Fatal(err)
	}
	return r
}

func uploadOf(file map[string]any) events.Command {
	data, err := json.Marshal(map[string]any{"taskId": "t-1", "file": file})
	if err != nil {
		panic(err)
	}
	return command("createTaskDocument", string(data))
}

func reference(name string) map[string]any {
	return map[string]any{"bucket": "FACTRO_FILES_ACME", "name": name}
}

func TestUploadInline(t *testing.T) {
	t.Parallel()
	url, got := uploads(t, nil)
	for name, tt := range map[string]struct{ name, kind, content string }{
		"plain":             {name: "plan.txt", kind: "text/plain", content: "hallo"},
		"umlauts":           {name: "Größenübersicht ß.pdf", content: "ü"},
		"quotes":            {name: `der "Plan".pdf`},
		"semicolon":         {name: "a;b=c.pdf"},
		"a field's name":    {name: `"; name="other`},
		"escapes":           {name: "a%0D%0AX-Evil: 1%22%00"},
		"looks like a part": {name: "a", content: "\r\n--boundary--\r\n"},
		"large":             {name: "a", content: strings.Repeat("0123456789", 50_000)},
	} {
		r := uploading(t, url)
		r.wantDone(r.do(uploadOf(map[string]any{
			"name": tt.name, "contentType": tt.kind, "data": base64.StdEncoding.EncodeToString([]byte(tt.content)),
		})), events.Applied, "")
		a := <-got
		kind := tt.kind
		if kind == "" {
			kind = "application/octet-stream"
		}
		if a.name != tt.name || a.contentType != kind || a.digest != sha256.Sum256([]byte(tt.content)) || a.headers != 2 {
			t.Errorf("%s: arrived is %+v", name, a)
		}
		if a.length <= a.size {
			t.Errorf("%s: the request says it has %d bytes", name, a.length)
		}
	}
}

// noise is a large content that is never in memory as a whole. It fails at the byte fail.
type noise struct {
	left, fail int64
	source     *rand.ChaCha8
	sum        hash.Hash
}

func newNoise(size, fail int64) *noise {
	return &noise{left: size, fail: fail, source: rand.NewChaCha8([32]byte{1}), sum: sha256.New()}
}

func (n *noise) Read(p []byte) (int, error) {
	if n.fail > 0 && n.left <= n.fail {
		return 0, errors.New("the source broke off")
	}
	if n.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.left, 128<<10)]
	_, _ = n.source.Read(p) // does not fail
	n.sum.Write(p)
	n.left -= int64(len(p))
	return len(p), nil
}

func (n *noise) Close() error { return nil }

// TestUploadObject: a file of 64 MiB arrives byte for byte, and the process never holds more than a small part of it. Not
// parallel, since it measures the memory of the whole process.
func TestUploadObject(t *testing.T) { //nolint:paralleltest // see above

	const size, most = 64 << 20, 16 << 20
	var base, peak uint64
	var seen int64
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	url, got := uploads(t, func(n int64) {
		if before := seen >> 23; (seen+n)>>23 != before { // every 8 MiB
			peak = max(peak, heap())
		}
		seen += n
	})
	r := uploading(t, url)
	content := newNoise(size, 0)
	r.stores.files = map[string]objects.File{"big": {Size: size, Open: func(context.Context) (io.ReadCloser, error) { return content, nil }}}
	base = heap()
	r.wantDone(r.do(uploadOf(map[string]any{"name": "Übersicht.bin", "object": reference("big")})), events.Applied, "")
	a := <-got
	if a.size != size || !bytes.Equal(a.digest[:], content.sum.Sum(nil)) || a.name != "Übersicht.bin" || a.length <= size {
		t.Errorf("arrived is %+v", a)
	}
	if peak == 0 || peak > base+most {
		t.Errorf("the heap grew from %d to %d bytes", base, peak)
	}
	if r.String() != "begin; file; finish; publish applied" {
		t.Errorf("unexpected steps: %s", r)
	}
}

// TestUploadDryRun: a dry run reports which file would be sent, but not its content.
func TestUploadDryRun(t *testing.T) {
	t.Parallel()
	for want, file := range map[string]map[string]any{
		`{"name":"a.txt","contentType":"text/plain","size":4}`: {"name": "a.txt", "contentType": "text/plain", "data": "cGxhbg=="},
		`{"name":"a","contentType":"application/octet-stream","size":9000000,"object":{"bucket":"FACTRO_FILES_ACME","name":"here"}}`: {
			"name": "a", "object": reference("here"),
		},
	} {
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
		r.stores.files = map[string]objects.File{"here": {Size: 9_000_000}}
		c := uploadOf(file)
		c.Event.SetExtension("dryrun", true)
		s := r.wantDone(r.do(c), events.Applied, "")
		prefix := `{"method":"POST","path":"/tasks/t-1/documents","contentType":"multipart/form-data","file":`
		if got := string(s.result.Response); got != prefix+want+"}" {
			t.Errorf("the planned call is %s", got)
		}
	}
}

// TestUploadRefused: a reference to a missing object, or to another bucket that only the bridge may read, is the sender's mistake.
// Nothing is called, and the ledger keeps no record.
func TestUploadRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		object  map[string]any
		pointer string
	}{
		"missing":        {reference("gone"), "/file/object"},
		"another bucket": {map[string]any{"bucket": "SALARIES", "name": "here"}, "/file/object/bucket"},
	} {
		for _, ext := range [][]any{nil, {"dryrun", true}} {
			r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
			r.stores.files = map[string]objects.File{"here": {}}
			c := uploadOf(map[string]any{"name": "a", "object": tt.object})
			if ext != nil {
				c.Event.SetExtension("dryrun", true)
			}
			s := r.wantDone(r.do(c), events.Rejected, "invalid")
			var fields []events.FieldError
			if err := json.Unmarshal(s.result.Error.Detail, &fields); err != nil || len(fields) != 1 || fields[0].Pointer != tt.pointer {
				t.Errorf("%s: the mistakes are %v: %v", name, fields, err)
			}
			if r.Count("call") != 0 || len(r.stores.ledger) != 0 || s.result.Attempts != 0 {
				t.Errorf("%s: unexpected steps: %s", name, r)
			}
		}
	}
}

// TestUploadStoreAway: if NATS is unavailable for the file, the command waits and is not begun. It does not wait for ever, since it
// blocks all commands behind it.
func TestUploadStoreAway(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"looking", "opening", "dry run"} {
		for _, failures := range []int{maxAttempts - 1, maxAttempts} {
			t.Run(fmt.Sprint(at, failures), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, apitest.Always(apitest.OK(`{"id":"d-1"}`)))
					left := failures
					away := func() error {
						if left--; left >= 0 {
							return errors.New("away")
						}
						return nil
					}
					r.stores.files = map[string]objects.File{"f": {Size: 1, Open: func(context.Context) (io.ReadCloser, error) {
						if at == "opening" {
							if err := away(); err != nil {
								return nil, err
							}
						}
						return io.NopCloser(strings.NewReader("x")), nil
					}}}
					r.stores.fail = func(step string) error {
						if step == "file" && at != "opening" {
							return away()
						}
						return nil
					}
					c := uploadOf(map[string]any{"name": "a", "object": reference("f")})
					if at == "dry run" {
						c.Event.SetExtension("dryrun", true)
					}
					if failures < maxAttempts {
						r.wantDone(r.do(c), events.Applied, "")
						return
					}
					s := r.wantDone(r.do(c), events.Dead, "exhausted")
					if r.Count("file") != maxAttempts || r.Count("call") != 0 || len(r.stores.ledger) != 0 || s.result.Attempts != 0 ||
						!strings.Contains(s.result.Error.Message, "away") {
						t.Errorf("%s: %s", s.event.Data(), r)
					}
				})
			})
		}
	}
}

// TestUploadStoreAwayStop: a bridge that stops leaves the command to the next one.
func TestUploadStoreAwayStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
		stopping, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r.stores.fail = func(step string) error {
			if step == "file" {
				return errors.New("away")
			}
			return nil
		}
		wantRetry(t, r.w.Handle(t.Context(), stopping, uploadOf(map[string]any{"name": "a", "object": reference("f")}), nil))
		if r.Count("call") != 0 || !r.stores.ledger[ledgerEntry].Open || len(r.stores.sent) != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
}

// stalledContent is a content that delivers no more bytes. A read gives up after a second, like a read of the bus.
type stalledContent struct{ begin io.Reader }

func (s stalledContent) Read(p []byte) (int, error) {
	if n, err := s.begin.Read(p); n > 0 || err != io.EOF {
		return n, err
	}
	time.Sleep(time.Second) //nolint:forbidigo // in a bubble
	return 0, nil
}

func (stalledContent) Close() error { return nil }

// TestUploadStalls: if a file stalls in the middle, the call ends with its timeout, or when the bridge has to stop. It does not
// count as a failure of factro.
func TestUploadStalls(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]bool{"timeout": false, "stop": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, unsearchable(apitest.Always(apitest.OK(apitest.Fits))))
				r.stores.files = map[string]objects.File{"f": {Size: 10, Open: func(context.Context) (io.ReadCloser, error) {
					return stalledContent{strings.NewReader("hallo")}, nil
				}}}
				c := uploadOf(map[string]any{"name": "a", "object": reference("f")})
				began := time.Now()
				if stop {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					if verdict := r.w.Handle(ctx, ctx, c, nil); verdict == nil || time.Since(began) > 6*time.Second || len(r.stores.sent) != 0 {
						t.Errorf("after %s: %v, %s", time.Since(began), verdict, r)
					}
				} else {
					s := r.wantDone(r.do(c), events.Dead, "ambiguous")
					if !strings.Contains(s.result.Error.Message, "read the file: nothing came within the timeout") || time.Since(began) > 21*time.Second {
						t.Errorf("after %s: %s", time.Since(began), s.event.Data())
					}
				}
				if b := r.w.api.Failures(); b != 0 {
					t.Errorf("the breaker counts %+v", b)
				}
			})
		})
	}
}

// TestUploadBreaksOff: if the source fails in the middle, factro may already have created the document. It does not count as a
// failure of factro.
func TestUploadBreaksOff(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	url, _ := uploads(t, nil)
	r := uploading(t, url)
	var opened atomic.Int32
	r.stores.files = map[string]objects.File{"f": {Size: size, Open: func(context.Context) (io.ReadCloser, error) {
		opened.Add(1)
		return newNoise(size, size/2), nil
	}}}
	s := r.wantDone(r.do(uploadOf(map[string]any{"name": "a", "object": reference("f")})), events.Dead, "ambiguous")
	if !strings.Contains(s.result.Error.Message, "the source broke off") || opened.Load() != 1 {
		t.Errorf("opened %d times: %s", opened.Load(), s.event.Data())
	}
	if c := r.w.api.Failures(); c != 0 {
		t.Errorf("the breaker counts %+v", c)
	}
}

// TestUploadRepeated: each attempt sends the file from its beginning.
func TestUploadRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		answers := apitest.Sequence(apitest.Nowhere, apitest.Reply{Status: 429}, apitest.OK(`{"id":"d-1"}`))
		r := newRig(t, func(q *http.Request, body string) apitest.Reply {
			if !apitest.IsProbe(q) {
				bodies = append(bodies, body)
			}
			return answers(q, body)
		})
		r.stores.files = map[string]objects.File{"f": {Size: 5, Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("hallo")), nil
		}}}
		r.wantDone(r.do(uploadOf(map[string]any{"name": "a", "object": reference("f")})), events.Applied, "")
		if len(bodies) != 3 {
			t.Fatalf("%d attempts: %s", len(bodies), r)
		}
		for _, body := range bodies {
			if !strings.Contains(body, "\r\n\r\nhallo\r\n--") {
				t.Errorf("the body is %q", body)
			}
		}
	})
}

// TestUploadSlowLine: the timeout is for a call without progress. A large file on a slow line makes progress.
func TestUploadSlowLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"d-1"}`)))
		r.stores.files = map[string]objects.File{"f": {Size: 20, Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(&slowContent{left: 20, every: 19 * time.Second}), nil
		}}}
		began := time.Now()
		r.wantDone(r.do(uploadOf(map[string]any{"name": "a", "object": reference("f")})), events.Applied, "")
		if d := time.Since(began); d < 6*time.Minute {
			t.Errorf("it took %s", d)
		}
	})
}

// slowContent is a content that arrives slowly.
type slowContent struct {
	left  int
	every time.Duration
}

func (d *slowContent) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(d.every) //nolint:forbidigo // in a bubble
	d.left--
	p[0] = 'x'
	return 1, nil
}
