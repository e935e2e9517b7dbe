package tests

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// A file that no message can hold goes from the command line through the object store to factro, and so does a small one
// without it.
func TestUploadFromCommandLine(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	_, js := a.n.Connect(t)
	for objects, size := range []int{1 << 10, 5<<20 + 1} {
		path := filepath.Join(t.TempDir(), "Übersicht März.pdf")
		writeFile(t, path, strings.Repeat("x", size))
		out, errOut, code := bridgeCommand(t, "send", "createProjectDocument", "projectId="+a.f.demo.Project, "file=@"+path,
			"--wait", "--nats", a.n.URL(), "--cloud", "acme")
		if code != 0 || !strings.Contains(out, "createProjectDocument applied") {
			t.Fatalf("exit code %d: %s%s", code, out, errOut)
		}
		arrived := a.f.Count("document", func(o map[string]any) bool {
			return o["title"] == "Übersicht März.pdf" && fmt.Sprint(o["size"]) == strconv.Itoa(size) && o["contentType"] == "application/pdf"
		})
		if arrived != 1 {
			t.Errorf("%d bytes arrived %d times: %v", size, arrived, a.f.Objects("document"))
		}
		store, err := js.ObjectStore(t.Context(), "FACTRO_FILES_ACME")
		if err != nil {
			t.Fatal(err)
		}
		if list, _ := store.List(t.Context()); len(list) != objects { // an empty bucket is an error
			t.Errorf("%d bytes: %d objects, want %d", size, len(list), objects)
		}
	}
}

// A file of 64 MiB arrives byte for byte, with its length, and the bridge never holds it whole.
func TestUploadLarge(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	type upload struct {
		digest [sha256.Size]byte
		size   int64
		length int64
		name   string
	}
	got := make(chan upload, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		part, err := parts.NextPart()
		if err != nil {
			t.Error(err)
			return
		}
		sum, u := sha256.New(), upload{length: r.ContentLength, name: part.FileName()}
		if u.size, err = io.Copy(sum, part); err != nil {
			t.Error(err)
		}
		sum.Sum(u.digest[:0])
		got <- u
		fmt.Fprint(w, `{"id":"d-1"}`)
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })

	n := natstest.Start(t)
	b := newBridge(t, bridgeConfig{
		nats: n.URL(), clouds: map[string]string{"acme": "http://" + l.Addr().String()},
		env: []string{"GOMEMLIMIT=64MiB"}, // so that garbage does not count as what is held
	}).start()
	_, js := n.Connect(t)
	var store jetstream.ObjectStore
	waitFor(t, "the bucket for files", func() bool {
		store, err = js.ObjectStore(t.Context(), prefix.FileBucket("acme"))
		return err == nil
	})
	sum, source := sha256.New(), rand.NewChaCha8([32]byte{7})
	if _, err := store.Put(t.Context(), jetstream.ObjectMeta{Name: "groß"}, io.TeeReader(io.LimitReader(source, size), sum)); err != nil {
		t.Fatal(err)
	}
	before := peakMemory(t, b)
	result, err := events.NewClient(js, "acme").Do(t.Context(), payload.CreateTaskDocument{TaskID: "t-1", File: payload.File{
		Name: "Größe.bin", Object: &events.ObjectRef{Bucket: prefix.FileBucket("acme"), Name: "groß"},
	}})
	if err != nil || result.Outcome != events.Applied {
		t.Fatalf("%+v, %v", result, err)
	}
	u := <-got
	if u.size != size || u.length <= size || u.name != "Größe.bin" || string(u.digest[:]) != string(sum.Sum(nil)) {
		t.Errorf("arrived is %+v", u)
	}
	after := peakMemory(t, b)
	t.Logf("the peak of the bridge's memory grew from %d to %d MiB", before>>20, after>>20)
	if raceFlag == "" && after-before > size {
		t.Errorf("the bridge's memory grew by %d MiB for a file of 64 MiB", (after-before)>>20)
	}
}

// peakMemory is the most memory that the process ever had, in bytes; 0 where the system does not tell.
func peakMemory(t testing.TB, b *bridge) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	return 0
}

// A reference that a command may not use, or to an object that does not exist, is reported as such a mistake.
func TestUploadMistakes(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	_, js := a.n.Connect(t)
	if _, err := js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "SALARIES"}); err != nil {
		t.Fatal(err)
	}
	for ref, pointer := range map[events.ObjectRef]string{
		{Bucket: "SALARIES", Name: "all"}: "/file/object/bucket", {Bucket: prefix.FileBucket("acme"), Name: "gone"}: "/file/object",
		// Names that would be too long for NATS, the second one only in bytes.
		{Bucket: prefix.FileBucket("acme"), Name: strings.Repeat("x", 3200)}: "/file/object/name",
		{Bucket: prefix.FileBucket("acme"), Name: strings.Repeat("ü", 512)}:  "/file/object",
	} {
		_, err := a.client.Do(t.Context(), payload.Generic{Name: "createProjectDocument", Resource: "project", Data: map[string]any{
			"projectId": a.f.demo.Project, "file": map[string]any{"name": "a", "object": ref},
		}})
		text, _ := json.Marshal(err)
		if !strings.Contains(string(text), `"pointer":"`+pointer+`"`) || count(a.f, "createProjectDocument") != 0 {
			t.Errorf("%v: %v %s", ref, err, text)
		}
	}
	if _, err := a.client.Do(t.Context(), payload.Generic{Name: "createProjectDocument", Resource: "project", Data: map[string]any{
		"projectId": a.f.demo.Project, "file": map[string]any{"name": "a", "data": ""},
	}}); err != nil {
		t.Error(err)
	}
	if n := a.f.Count("document", nil); n != 1 {
		t.Errorf("factro has %d documents", n)
	}
}

// A file whose content is gone, as when it ages out of its bucket before its index does, ends its own command and holds up
// no other.
func TestUploadStalls(t *testing.T) {
	t.Parallel()
	a := newAsking(t, "FACTRO_BRIDGE_CLOUDS_0_API_TIMEOUT=1s")
	_, js := a.n.Connect(t)
	var store jetstream.ObjectStore
	waitFor(t, "the bucket for files", func() bool {
		var err error
		store, err = js.ObjectStore(t.Context(), prefix.FileBucket("acme"))
		return err == nil
	})
	info, err := store.PutString(t.Context(), "old", strings.Repeat("x", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "OBJ_"+prefix.FileBucket("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("$O."+prefix.FileBucket("acme")+".C."+info.NUID)); err != nil {
		t.Fatal(err)
	}
	send := func(file map[string]any) error {
		_, err := a.client.Do(t.Context(), payload.Generic{Name: "createProjectDocument", Resource: "project", Data: map[string]any{
			"projectId": a.f.demo.Project, "file": file,
		}})
		return err
	}
	err = send(map[string]any{"name": "a", "object": events.ObjectRef{Bucket: prefix.FileBucket("acme"), Name: "old"}})
	if err == nil || !strings.Contains(err.Error(), "its content is gone") {
		t.Errorf("got %v", err)
	}
	if err := send(map[string]any{"name": "a", "data": ""}); err != nil {
		t.Error(err)
	}
}
