package ensure_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet())), bustest.Connected(t, srv)
	for bucket, want := range map[string]struct {
		age  time.Duration
		most int64
	}{"FACTRO_FILES_ACME": {7 * 24 * time.Hour, topology.DefaultSizes().Files}, "FACTRO_ANSWERS_ACME": {10 * time.Minute, topology.DefaultSizes().Answers}} {
		natstest.Eventually(t, "there is "+bucket, func() bool {
			_, err := o.JS.ObjectStore(t.Context(), bucket)
			return err == nil
		})
		cfg := o.Stream("OBJ_" + bucket).CachedInfo().Config
		if cfg.MaxAge != want.age || cfg.MaxBytes != want.most {
			t.Errorf("%s keeps %d bytes for %s", bucket, cfg.MaxBytes, cfg.MaxAge)
		}
		if err := o.JS.DeleteObjectStore(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
		natstest.Eventually(t, bucket+" is made again", func() bool {
			_, err := o.JS.ObjectStore(t.Context(), bucket)
			return err == nil
		})
	}
	if err := b.Health().Ready(); err != nil {
		t.Error(err)
	}
}

// TestBucketsNoRoom: events and commands do not wait for room for files, and the ledger takes what room there is.
func TestBucketsNoRoom(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = 20 << 20 })
	log, book := bustest.NewLog()
	b := bustest.Run(t, bustest.Connect(t, srv, log))
	if err := bustest.Publisher(t, b).Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "1"), "1"); err != nil {
		t.Error(err)
	}
	natstest.Eventually(t, "it is logged", func() bool { return book.Count("object store is not there") == 3 })
	if most := bustest.Connected(t, srv).Stream("KV_FACTRO_LEDGER_ACME").CachedInfo().Config.MaxBytes; most != 4<<20 || book.Count("NATS has little room") != 1 {
		t.Errorf("the ledger holds %d bytes; the log is\n%s", most, book)
	}
	if _, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "f"); !errors.Is(err, objects.ErrNoFile) {
		t.Errorf("without a bucket: %v", err)
	}
	if _, err := objects.New(b).Keep(t.Context(), "acme", "a", strings.NewReader("x")); err == nil {
		t.Error("an answer was stored in no bucket")
	}
}

// TestBucketsNoRights: without rights on the object stores the bridge is ready all the same, and begins with its commands;
// only what needs the stores fails.
func TestBucketsNoRights(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "bridge", Password: "b", Permissions: &server.Permissions{Publish: &server.SubjectPermission{
				Allow: []string{">"}, Deny: []string{"$JS.API.STREAM.*.OBJ_FACTRO_FILES_ACME", "$JS.API.STREAM.*.OBJ_FACTRO_ANSWERS_ACME", "$O.>"},
			}}},
		}
		o.NoAuthUser = "admin"
	})
	log, book := bustest.NewLog()
	b := bustest.Run(t, bustest.Connect(t, srv, log, func(c *bus.Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:b@", 1) }))
	natstest.Receive(t, b.StreamsReady("acme"))
	bustest.Connected(t, srv).Command("c-1")
	natstest.Eventually(t, "it is logged", func() bool { return book.Count("object store is not there") == 2 })
	if book.Count("ermissions violation") == 0 {
		t.Errorf("there was no violation:\n%s", book)
	}
	if err := b.Health().Ready(); err != nil {
		t.Error(err)
	}
	if _, err := objects.New(b).File(t.Context(), "FACTRO_FILES_ACME", "f"); err == nil || errors.Is(err, objects.ErrNoFile) {
		t.Errorf("a file that nobody can look for: %v", err)
	}
}
