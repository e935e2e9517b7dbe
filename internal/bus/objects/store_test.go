package objects_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func bucket(t testing.TB, o bustest.Outside, name string) jetstream.ObjectStore {
	t.Helper()
	s, err := o.JS.ObjectStore(t.Context(), name)
	if err != nil {
		t.Fatalf("object store %s: %v", name, err)
	}
	return s
}

// left is how many messages the stream of the answers holds.
func left(o bustest.Outside) uint64 { return o.Count("OBJ_FACTRO_ANSWERS_ACME") }

// TestFile: a file is found with its size and read as often as it is opened.
func TestFile(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet())), bustest.Connected(t, srv)
	want := bytes.Repeat([]byte("Größe"), 200_000)
	if _, err := bucket(t, o, "FACTRO_FILES_ACME").PutBytes(t.Context(), "ü 1/2", want); err != nil {
		t.Fatal(err)
	}
	f, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "ü 1/2")
	if err != nil || f.Size != int64(len(want)) {
		t.Fatalf("%+v, %v", f, err)
	}
	for range 2 {
		content, err := f.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(content)
		if err = errors.Join(err, content.Close()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	}
	if err := bucket(t, o, "FACTRO_FILES_ACME").Delete(t.Context(), "ü 1/2"); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "ü 1/2"); !errors.Is(err, objects.ErrNoFile) {
		t.Errorf("a deleted file: %v", err)
	}
	if _, err := f.Open(t.Context()); !errors.Is(err, objects.ErrNoFile) {
		t.Errorf("a file that is deleted meanwhile: %v", err)
	}
}

// TestFileReplaced: what is opened is what was found, with that size.
func TestFileReplaced(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet())), bustest.Connected(t, srv)
	files := bucket(t, o, "FACTRO_FILES_ACME")
	if _, err := files.PutString(t.Context(), "f", "one"); err != nil {
		t.Fatal(err)
	}
	f, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.PutString(t.Context(), "f", "two"); err != nil {
		t.Fatal(err)
	}
	if content, err := f.Open(t.Context()); err == nil {
		t.Errorf("another file was opened: %v", content.Close())
	}
}

// TestFileLink: a link would lead a sender to what only the bridge may read, also if it comes after the look.
func TestFileLink(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet())), bustest.Connected(t, srv)
	secrets, err := o.JS.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "SALARIES"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := secrets.PutString(t.Context(), "all", "secret")
	if err != nil {
		t.Fatal(err)
	}
	files := bucket(t, o, "FACTRO_FILES_ACME")
	if _, err := files.AddLink(t.Context(), "innocent", info); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "innocent"); !errors.Is(err, objects.ErrNoFile) {
		t.Errorf("a link was followed: %v", err)
	}
	if _, err := files.PutString(t.Context(), "f", "secre7"); err != nil {
		t.Fatal(err)
	}
	f, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "f")
	if err != nil {
		t.Fatal(err)
	}
	link := nats.NewMsg("$O.FACTRO_FILES_ACME.M." + base64.URLEncoding.EncodeToString([]byte("f"))) // AddLink would not replace it
	link.Header.Set("Nats-Rollup", "sub")
	link.Data = []byte(`{"name":"f","bucket":"FACTRO_FILES_ACME","nuid":"x","options":{"link":{"bucket":"SALARIES","name":"all"}}}`)
	o.Publish(link)
	if c, err := f.Open(t.Context()); err == nil {
		t.Errorf("a link that came later was followed: %v", c.Close())
	}
}

// TestNoFile: whatever stands in the bucket, or in a command, names a file or none; and none of it costs us the connection.
func TestNoFile(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet())), bustest.Connected(t, srv)
	longest := strings.Repeat("ü", objects.MaxName/2)
	if _, err := bucket(t, o, "FACTRO_FILES_ACME").PutString(t.Context(), longest, "here"); err != nil {
		t.Fatal(err)
	}
	if f, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", longest); err != nil || f.Size != 4 {
		t.Errorf("the longest name: %+v, %v", f, err)
	}
	for _, size := range []int{objects.MaxName + 1, 3200, 100_000} {
		name := strings.Repeat("x", size)
		if _, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", name); !errors.Is(err, objects.ErrNoFile) {
			t.Errorf("a name of %d bytes: %v", size, err)
		}
		if _, err := objects.New(b).Keep(t.Context(), "acme", name, strings.NewReader("x")); err == nil {
			t.Errorf("an answer was stored under a name of %d bytes", size)
		}
	}
	for i, rest := range []string{
		`nonsense`, `"size":3}`, `"nuid":"x","size":18446744073709551615}`, `"nuid":"x","size":-1}`,
		`"nuid":"` + strings.Repeat("x", 5000) + `","size":0}`, `"nuid":">","size":0}`,
		`"nuid":"x","size":0,"bucket":"SALARIES"}`, `"nuid":"x","size":0,"name":"another"}`,
		`"nuid":"x","size":3}`, // which has no content
	} {
		name := strconv.Itoa(i)
		text := `{"name":"` + name + `","bucket":"FACTRO_FILES_ACME",` + rest
		m := nats.NewMsg("$O.FACTRO_FILES_ACME.M." + base64.URLEncoding.EncodeToString([]byte(name)))
		m.Data = []byte(text)
		o.Publish(m)
		if _, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", name); !errors.Is(err, objects.ErrNoFile) {
			t.Errorf("%.50s: %v", text, err)
		}
	}
	if err := b.Health().Ready(); err != nil {
		t.Error(err)
	}
}

// TestFileStalls: a file that stops to come does not hold its bustest.Metrics, who can wait on or give up.
func TestFileStalls(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet())), bustest.Connected(t, srv)
	files := bucket(t, o, "FACTRO_FILES_ACME")
	info, err := files.PutBytes(t.Context(), "f", make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	f, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "f")
	if err != nil {
		t.Fatal(err)
	}
	// The bucket's age takes the chunks before their index.
	if err := o.Stream("OBJ_FACTRO_FILES_ACME").Purge(t.Context(), jetstream.WithPurgeSubject("$O.FACTRO_FILES_ACME.C."+info.NUID)); err != nil {
		t.Fatal(err)
	}
	content, err := f.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := content.Read(make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	}
	if err := content.Close(); err != nil {
		t.Error(err)
	}

	if _, err := files.PutBytes(t.Context(), "g", make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if f, err = objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "g"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if content, err = f.Open(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := content.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("read after the end: %v", err)
	}
	if err := content.Close(); err != nil {
		t.Error(err)
	}
}

// TestKeep: an answer is stored whole, in messages of full size, and half an answer not at all.
func TestKeep(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet())), bustest.Connected(t, srv)
	want := bytes.Repeat([]byte("Antwort "), 1<<17) // 1 MiB
	ref, err := objects.New(b).Keep(t.Context(), "acme", "acme.listTasks.1", iotest.HalfReader(bytes.NewReader(want)))
	if err != nil || ref != (events.ObjectRef{Bucket: "FACTRO_ANSWERS_ACME", Name: "acme.listTasks.1", Size: 1 << 20}) {
		t.Fatalf("%+v, %v", ref, err)
	}
	if got, err := bucket(t, o, "FACTRO_ANSWERS_ACME").GetBytes(t.Context(), ref.Name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if n := left(o); n != 9 {
		t.Errorf("1 MiB took %d messages, want 8 and their index", n)
	}

	broken := errors.New("factro broke off")
	_, err = objects.New(b).Keep(t.Context(), "acme", "acme.listTasks.2", io.MultiReader(bytes.NewReader(want), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || left(o) != 9 {
		t.Errorf("%v; %d messages are left", err, left(o))
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = objects.New(b).Keep(ctx, "acme", "acme.listTasks.3", io.MultiReader(bytes.NewReader(want), readerFunc(func([]byte) (int, error) {
		cancel()
		return 1, nil
	})))
	if !errors.Is(err, context.Canceled) || left(o) != 9 {
		t.Errorf("%v; %d messages are left", err, left(o))
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestKeepFull: an answer that the bucket has no room for is an error, and takes no room.
func TestKeepFull(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	o := bustest.Connected(t, srv)
	if _, err := o.JS.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "FACTRO_ANSWERS_ACME", MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	b := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))
	ref, err := objects.New(b).Keep(t.Context(), "acme", "a", bytes.NewReader(make([]byte, 4<<20)))
	if err == nil || left(o) > 1 { // the mark that it is gone
		t.Errorf("%+v, %v; %d messages are left", ref, err, left(o))
	}
	if _, err := bucket(t, o, "FACTRO_ANSWERS_ACME").GetInfo(t.Context(), "a"); !errors.Is(err, jetstream.ErrObjectNotFound) {
		t.Errorf("half an answer is there: %v", err)
	}
}

// TestKeepAway: somebody waits for the answer, so it does not wait for NATS as long as he does.
func TestKeepAway(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, natstest.New(t), bustest.Quiet())
	if _, err := objects.New(b).Keep(t.Context(), "acme", "a", strings.NewReader("x")); !errors.Is(err, bus.ErrNotConnected) {
		t.Errorf("kept: %v", err)
	}
}

func TestMaxAnswer(t *testing.T) {
	t.Parallel()
	for payload, want := range map[int32]int{1 << 20: 1<<20 - objects.AnswerRoom, 16 << 20: objects.AnswerMost, 1 << 10: 0} {
		srv := natstest.Start(t, func(o *server.Options) { o.MaxPayload = payload })
		b := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))
		if got := objects.New(b).MaxAnswer(); got != want {
			t.Errorf("of %d bytes an answer may have %d, want %d", payload, got, want)
		}
	}
}

// TestKeepInSmallMessages: a server that takes less than the usual part of an object takes objects all the same.
func TestKeepInSmallMessages(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 32 << 10 })
	b := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))
	content := strings.Repeat("x", 100<<10)
	natstest.Eventually(t, "the bucket is there", func() bool {
		_, err := objects.New(b).Keep(t.Context(), "acme", "large", strings.NewReader(content))
		return err == nil
	})
	store, err := bustest.Connected(t, srv).JS.ObjectStore(t.Context(), "FACTRO_ANSWERS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	if have, err := store.GetString(t.Context(), "large"); err != nil || have != content {
		t.Errorf("%d bytes, %v", len(have), err)
	}
}
