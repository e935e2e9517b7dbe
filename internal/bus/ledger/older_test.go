package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// counting counts how often the bucket of the older version is looked up.
type counting struct {
	jetstream.JetStream
	lookups int
	err     error // instead of an answer
}

func (c *counting) KeyValue(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	if bucket != "FACTRO_LEDGER" {
		return c.JetStream.KeyValue(ctx, bucket)
	}
	c.lookups++
	if c.err != nil {
		return nil, c.err
	}
	return c.JetStream.KeyValue(ctx, bucket)
}

// changing is a connection that changes while it is used.
type changing struct {
	*bus.Conn
	js    *counting
	epoch int
}

func newChanging(conn *bus.Conn) *changing {
	return &changing{Conn: conn, js: &counting{JetStream: conn.JetStream()}, epoch: 1}
}

func (c *changing) JetStream() jetstream.JetStream { return c.js }
func (c *changing) Epoch() int                     { return c.epoch }

// TestOldLedgerOnce: the ledger of the older version is looked for once on each connection, and found on the next if it came.
func TestOldLedgerOnce(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, js := server.Connect(t)
	conn := newChanging(bustest.Running(t, server))
	b := ledger.New(conn, bustest.Quiet())
	look := func(id string, want bool, lookups int) {
		t.Helper()
		if known, _, err := b.Look(t.Context(), "acme", id); err != nil || known != want || conn.js.lookups != lookups {
			t.Errorf("%s: known %t, %v, after %d lookups, want %d", id, known, err, conn.js.lookups, lookups)
		}
	}
	look("x", false, 1)
	look("x", false, 1)
	old, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "FACTRO_LEDGER", TTL: 7 * 24 * time.Hour, MaxBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Put(t.Context(), ledger.KeyOf("acme", "x"), []byte(`{"fingerprint":"f"}`)); err != nil {
		t.Fatal(err)
	}
	conn.epoch++
	look("x", true, 2)
	look("y", false, 2)
}

// TestOldLedgerDeleted: a user without the right to ask the leader gets no answer about a deleted bucket. Its records do not count
// once it is known that the bucket was deleted, and nothing is begun before.
func TestOldLedgerDeleted(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, js := server.Connect(t)
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "FACTRO_LEDGER", TTL: 7 * 24 * time.Hour, MaxBytes: 256 << 20}); err != nil {
		t.Fatal(err)
	}
	conn := newChanging(bustest.Running(t, server))
	conn.Health().Refused(fmt.Errorf("%w: Permissions Violation for Publish to %q", nats.ErrPermissionViolation, "$JS.API.STREAM.MSG.GET.KV_FACTRO_LEDGER"))
	b := ledger.New(conn, bustest.Quiet())
	if _, _, err := b.Look(t.Context(), "acme", "x"); err != nil { // it is there
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), "FACTRO_LEDGER"); err != nil {
		t.Fatal(err)
	}
	lost := errors.New("no answer")
	conn.js.err = lost
	if known, _, err := b.Begin(t.Context(), "acme", "x", ledger.Record{}); !errors.Is(err, lost) || known {
		t.Errorf("nobody knows whether it is there: known %t, %v", known, err)
	}
	conn.js.err = nil
	if known, _, err := b.Begin(t.Context(), "acme", "x", ledger.Record{}); err != nil || known {
		t.Errorf("it was deleted: known %t, %v", known, err)
	}
	if made, err := b.Made(t.Context(), "acme", time.Now().Add(-time.Minute)); err != nil || len(made) != 0 {
		t.Errorf("made are %v, %v", made, err)
	}
}

// TestOldLedger: what the ledger of the older version knows stays known, of each cloud for itself.
func TestOldLedger(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, js := server.Connect(t)
	old, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "FACTRO_LEDGER", TTL: 7 * 24 * time.Hour, MaxBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ledger.Record{Fingerprint: "f", Made: []string{"t-1"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string][]byte{ledger.KeyOf("acme", "x"): text, "acme.claim.task." + ledger.KeyToken("t-2"): []byte("x")} {
		if _, err := old.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	conn := bustest.Running(t, server, bustest.Clouds("acme", "beta"))
	natstest.Eventually(t, "both clouds are ready", func() bool { return len(conn.Health().Troubles()) == 0 }) // readiness needs one
	b := ledger.New(conn, bustest.Quiet())
	known, r, err := b.Begin(t.Context(), "acme", "x", ledger.Record{Fingerprint: "g"})
	if err != nil || !known || r.Fingerprint != "f" {
		t.Errorf("known %t, %+v, %v", known, r, err)
	}
	r.Result = json.RawMessage(`{}`)
	if _, err := b.Save(t.Context(), "acme", "x", r); err != nil {
		t.Error(err)
	}
	if _, r, err := b.Look(t.Context(), "acme", "x"); err != nil || string(r.Result) != "{}" {
		t.Errorf("the old record came back: %+v, %v", r, err)
	}
	if known, _, err := b.Begin(t.Context(), "beta", "x", ledger.Record{}); err != nil || known {
		t.Errorf("of another cloud: known %t, %v", known, err)
	}
	if mine, err := b.Claim(t.Context(), "acme", "task", "t-2", "y"); err != nil || mine {
		t.Errorf("an object that another command made: mine %t, %v", mine, err)
	}
	if made, err := b.Made(t.Context(), "acme", time.Now().Add(-time.Minute)); err != nil || !made["t-1"] {
		t.Errorf("made are %v, %v", made, err)
	}
	if err := js.DeleteKeyValue(t.Context(), "FACTRO_LEDGER"); err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Fatal(err)
	}
	if known, _, err := b.Begin(t.Context(), "acme", "new", ledger.Record{}); err != nil || known {
		t.Errorf("after the old bucket was deleted: known %t, %v", known, err)
	}
}
