package hostile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// part is a part of a form as a Core API reads it.
type part struct{ disposition, contentType, content string }

// forms keep the parts of all uploads.
type forms struct {
	mu    sync.Mutex
	parts []part
}

func (f *forms) before(core http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
			f.read(multipart.NewReader(r.Body, params["boundary"]))
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"id":%q}`, factro.ExampleTask)
			return
		}
		core.ServeHTTP(w, r)
	})
}

func (f *forms) read(r *multipart.Reader) {
	for {
		p, err := r.NextRawPart()
		if err != nil {
			return
		}
		content, _ := io.ReadAll(p) // what came says it
		f.mu.Lock()
		f.parts = append(f.parts, part{p.Header.Get("Content-Disposition"), fmt.Sprint(p.Header["Content-Type"], len(p.Header)), string(content)})
		f.mu.Unlock()
	}
}

func (f *forms) take() (parts []part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	parts, f.parts = f.parts, nil
	return parts
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return text
}

func upload(t testing.TB, file map[string]any) command {
	t.Helper()
	data := jsonOf(t, map[string]any{"taskId": factro.ExampleTask, "file": file})
	return command{cloud: acme, operation: "createTaskDocument", data: string(data)}
}

// The names of a file and of its type are no way into the rest of the form, nor into another folder.
func TestUploadNames(t *testing.T) {
	t.Parallel()
	f := &forms{}
	w := newWorld(t, "names of files that are more than names", setting{core: map[string]func(http.Handler) http.Handler{acme: f.before}})
	content := base64.StdEncoding.EncodeToString([]byte("hallo"))
	for _, name := range []string{"Übersicht ß.pdf", `der "Plan".pdf`, `"; name="other`, "a;b=c.pdf", "a%0D%0AX-Evil: 1%22.pdf", strings.Repeat("ä", 255)} {
		c := w.send(upload(t, map[string]any{"name": name, "data": content}))
		r, parts := w.result(c), f.take()
		if r.outcome != events.Applied || len(parts) != 1 {
			t.Errorf("%.40q is %s with the parts %+v: %.300s", name, r.outcome, parts, r.data)
			continue
		}
		_, params, err := mime.ParseMediaType(parts[0].disposition)
		if err != nil || params["name"] != "file" || params["filename"] != name || len(params) != 2 ||
			parts[0].contentType != "[application/octet-stream] 2" || parts[0].content != "hallo" {
			t.Errorf("%.40q arrived as %+v", name, parts[0])
		}
	}
	for field, values := range map[string][]string{
		"name": {
			"../../etc/passwd", "..", `..\a`, "a/b", `C:\a`, "a\r\nX-Evil: 1", "a\"\r\n\r\nhallo", "a\x00.exe", "\u0085", strings.Repeat("a", 256), strings.Repeat("ä", 100_000),
		},
		"contentType": {"a/b\r\nX-Evil: 1", "a/b\r\n\r\nhallo", "a/b\x00", "ä/ö", strings.Repeat("a", 100_000)},
	} {
		for _, value := range values {
			file := map[string]any{"name": "a.pdf", "data": content}
			file[field] = value
			c := w.send(upload(t, file))
			if r := w.result(c); r.outcome != events.Rejected || !strings.Contains(string(r.data), "/file/"+field) {
				t.Errorf("the %s %.40q is %s, want rejected and the field named: %.300s", field, value, r.outcome, r.data)
			}
		}
	}
	if parts := f.take(); len(parts) > 0 {
		t.Errorf("the Core API got %+v of what was rejected", parts)
	}
	w.aftermath(beta, acme)
}

// A link in the bucket of files leads nowhere: the bridge would follow it with its own rights, and hand a sender what only
// the bridge may read.
func TestLinkedObjects(t *testing.T) {
	t.Parallel()
	f := &forms{}
	w := newWorld(t, "objects that are links to other buckets", setting{core: map[string]func(http.Handler) http.Handler{acme: f.before}})
	secret, err := w.js.CreateObjectStore(w.ctx, jetstream.ObjectStoreConfig{Bucket: "SALARIES"})
	must(t, err)
	info, err := secret.PutString(w.ctx, "all", "what only the owner may read")
	must(t, err)
	files := w.files(acme)
	own, err := files.PutString(w.ctx, "own", "one of the sender's own")
	must(t, err)
	_, err = files.AddLink(w.ctx, "to another bucket", info)
	must(t, err)
	_, err = files.AddLink(w.ctx, "to another object", own)
	must(t, err)
	_, err = files.AddBucketLink(w.ctx, "to a whole bucket", secret)
	must(t, err)
	status, err := files.Status(w.ctx)
	must(t, err)
	for name, bucket := range map[string]string{
		"to another bucket": status.Bucket(), "to another object": status.Bucket(), "to a whole bucket": status.Bucket(),
		"all": "SALARIES", "nothing": status.Bucket(), "../SALARIES/all": status.Bucket(), "*": status.Bucket(), ">": status.Bucket(),
	} {
		c := w.send(upload(t, map[string]any{"name": "a.pdf", "object": map[string]any{"bucket": bucket, "name": name}}))
		if r := w.result(c); r.outcome != events.Rejected || !strings.Contains(string(r.data), "/file/object") || strings.HasPrefix(name, "to ") && !strings.Contains(string(r.data), "it is a link") {
			t.Errorf("the object %q of %s is %s, want rejected and the field named: %.300s", name, bucket, r.outcome, r.data)
		}
	}
	if parts := f.take(); len(parts) > 0 {
		t.Errorf("the Core API got %+v", parts)
	}
	c := w.send(upload(t, map[string]any{"name": "a.pdf", "object": map[string]any{"bucket": status.Bucket(), "name": "own"}}))
	if r, parts := w.result(c), f.take(); r.outcome != events.Applied || len(parts) != 1 || parts[0].content != "one of the sender's own" {
		t.Errorf("a plain object is %s with the parts %+v: %.300s", r.outcome, parts, r.data)
	}
	w.aftermath(beta, acme)
}

// files is the bucket of a cloud's files, which is found by its subjects as each stream is.
func (w *world) files(cloud string) jetstream.ObjectStore {
	w.t.Helper()
	for _, name := range []string{"FACTRO_FILES_" + strings.ToUpper(cloud), "FACTRO_FILES"} {
		if store, err := w.js.ObjectStore(w.ctx, name); err == nil {
			return store
		}
	}
	w.t.Fatal("there is no bucket for files")
	return nil
}
