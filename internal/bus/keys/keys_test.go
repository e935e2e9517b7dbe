package keys_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// running returns the keys on a connection, once their bucket is there.
func running(t *testing.T, server *natstest.Server, change ...func(*bus.Config)) *keys.Keys {
	t.Helper()
	conn := bustest.Running(t, server, change...)
	natstest.Eventually(t, "the bucket is there", func() bool {
		_, err := conn.JetStream().KeyValue(t.Context(), "FACTRO_KEYS_ACME")
		return err == nil
	})
	return keys.New(conn, bustest.Quiet())
}

func owner(id string) keys.Owner {
	return keys.Owner{Command: []byte("urn:test\xff" + id), Source: "urn:test", ID: id, Position: "FACTRO_COMMANDS_ACME:1"}
}

// want checks what a key stands for: an id, "pending" or "".
func want(t *testing.T, k *keys.Keys, kind, key, what string) {
	t.Helper()
	e, known, err := k.Look(t.Context(), "acme", kind, key)
	have := e.ID
	if e.Pending() {
		have = "pending"
	}
	if err != nil || have != what || known != (what != "") || known && (e.Key != key || e.Kind != kind) {
		t.Errorf("the %s %q is %+v, want %q: %v", kind, key, e, what, err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	k := running(t, natstest.Start(t))
	ctx := t.Context()
	const key = "Größe: JIRA-17. mit * und >\n"
	if _, mine, err := k.Reserve(ctx, "acme", "task", key, owner("a")); err != nil || !mine {
		t.Fatalf("reserve: %t, %v", mine, err)
	}
	want(t, k, "task", key, "pending")
	want(t, k, "project", key, "")
	want(t, k, "task", strings.ToLower(key), "")

	// Another command, and the same one again from another place in the stream.
	if have, mine, err := k.Reserve(ctx, "acme", "task", key, owner("b")); err != nil || mine || have.Owner.ID != "a" {
		t.Errorf("a second command: %t, %+v, %v", mine, have, err)
	}
	again := owner("a")
	again.Position = "FACTRO_COMMANDS_ACME:9"
	if have, mine, err := k.Reserve(ctx, "acme", "task", key, again); err != nil || !mine || have.Owner.Position != again.Position {
		t.Errorf("the same command: %t, %+v, %v", mine, have, err)
	}
	// Who does not have the key changes nothing.
	if err := errors.Join(k.Release(ctx, "acme", "task", key, "urn:test\xffb"), k.Complete(ctx, "acme", "task", key, "urn:test\xffb", "t-0")); err != nil {
		t.Error(err)
	}
	want(t, k, "task", key, "pending")

	for range 2 { // twice is as once
		if err := k.Complete(ctx, "acme", "task", key, "urn:test\xffa", "t-1"); err != nil {
			t.Fatal(err)
		}
		want(t, k, "task", key, "t-1")
	}
	if have, mine, err := k.Reserve(ctx, "acme", "task", key, owner("c")); err != nil || mine || have.ID != "t-1" {
		t.Errorf("a key with an object: %t, %+v, %v", mine, have, err)
	}
	// The deletion of the object frees the key, and only its own.
	if err := errors.Join(k.ForgetID(ctx, "acme", "project", "t-1"), k.ForgetID(ctx, "acme", "task", "t-2")); err != nil {
		t.Error(err)
	}
	want(t, k, "task", key, "t-1")
	old, _, err := k.Look(ctx, "acme", "task", key)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.ForgetID(ctx, "acme", "task", "t-1"); err != nil {
		t.Error(err)
	}
	want(t, k, "task", key, "")

	// The key can be used again. Who has seen the old entry does not free the new one, and neither does the old object.
	if _, mine, err := k.Reserve(ctx, "acme", "task", key, owner("d")); err != nil || !mine {
		t.Fatalf("reserve again: %t, %v", mine, err)
	}
	if err := errors.Join(k.Forget(ctx, "acme", old), k.ForgetID(ctx, "acme", "task", "t-1")); err != nil {
		t.Error(err)
	}
	want(t, k, "task", key, "pending")
	if err := k.Release(ctx, "acme", "task", key, "urn:test\xffd"); err != nil {
		t.Error(err)
	}
	want(t, k, "task", key, "")
}

// TestRace: of many commands on two bridges one gets the key.
func TestRace(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	bridges := []*keys.Keys{running(t, server), running(t, server)}
	for _, key := range []string{"a", "b", "c"} {
		var group sync.WaitGroup
		var mu sync.Mutex
		winners := 0
		for i := range 20 {
			group.Go(func() {
				_, mine, err := bridges[i%2].Reserve(t.Context(), "acme", "task", key, owner(fmt.Sprint(i)))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if mine {
					winners++
				}
			})
		}
		group.Wait()
		if winners != 1 {
			t.Errorf("%d commands have the key %s", winners, key)
		}
	}
}

// TestQueued: a command is queued as long as its message is in the stream.
func TestQueued(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	k, o := running(t, server), bustest.Connected(t, server)
	ack, err := o.JS.PublishMsg(t.Context(), &nats.Msg{Subject: "factro.command.acme.task.createTask", Data: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	who := owner("a")
	who.Position = fmt.Sprintf("%s:%d", ack.Stream, ack.Sequence)
	if queued, err := k.Queued(t.Context(), who); err != nil || !queued {
		t.Errorf("queued %t, %v", queued, err)
	}
	if err := o.Stream(ack.Stream).DeleteMsg(t.Context(), ack.Sequence); err != nil {
		t.Fatal(err)
	}
	if queued, err := k.Queued(t.Context(), who); err != nil || queued {
		t.Errorf("without its message: queued %t, %v", queued, err)
	}
}

// TestBucket: keys have no age, and a full bucket refuses new keys, but gives the reserved ones their ids and frees them.
func TestBucket(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	k, o := running(t, server, func(c *bus.Config) { c.MaxBytes.Keys = topology.LeastSize }), bustest.Connected(t, server)
	cfg := o.Stream("KV_FACTRO_KEYS_ACME").CachedInfo().Config
	if cfg.MaxAge != 0 || cfg.Discard != jetstream.DiscardNew || cfg.MaxBytes != topology.LeastSize {
		t.Errorf("the bucket is %+v", cfg)
	}
	cfg.MaxBytes = 20_000
	if _, err := o.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	last := ""
	for n := range 1000 {
		key := fmt.Sprint("key-", n)
		if _, _, err := k.Reserve(t.Context(), "acme", "task", key, owner("a")); err != nil {
			break
		}
		last = key
	}
	if last == "" || last == "key-999" {
		t.Fatalf("the bucket does not refuse: %q", last)
	}
	if err := k.Complete(t.Context(), "acme", "task", last, "urn:test\xffa", "t-1"); err != nil {
		t.Error(err)
	}
	want(t, k, "task", last, "t-1")
	if err := k.Release(t.Context(), "acme", "task", "key-0", "urn:test\xffa"); err != nil {
		t.Error(err)
	}
	want(t, k, "task", "key-0", "")
}

// TestNoBucket: without a bucket there are no keys to free, and a create with a key has to wait.
func TestNoBucket(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	running(t, server)
	k := keys.New(bustest.Connect(t, server, bustest.Quiet(), func(c *bus.Config) { c.Prefix = "other" }), bustest.Quiet())
	if err := k.ForgetID(t.Context(), "acme", "task", "t-1"); err != nil {
		t.Error(err)
	}
	if _, _, err := k.Reserve(t.Context(), "acme", "task", "key", owner("a")); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("the error is %v", err)
	}
}

// TestRights: a bridge without rights on the bucket stays ready, and does not ask again and again when objects are deleted.
func TestRights(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, bustest.Users(bustest.Denied("$JS.API.*.*.KV_FACTRO_KEYS_ACME", "")))
	running(t, server)
	conn := bustest.Running(t, server, bustest.AsBridge, func(c *bus.Config) { c.Manage = false })
	k := keys.New(conn, bustest.Quiet())
	if err := k.ForgetID(t.Context(), "acme", "task", "t-1"); err == nil {
		t.Error("there is no error")
	}
	began := time.Now()
	if err := k.ForgetID(t.Context(), "acme", "task", "t-2"); err != nil || time.Since(began) > time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	if err := conn.Health().Ready(); err != nil {
		t.Error(err)
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	k, ctx := running(t, server), t.Context()
	js := bustest.Dial(t, server).JetStream()
	a, err := keys.Of(ctx, js, "factro", "acme")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := a.Set(ctx, "task", "JIRA-17", "t-1"); err != nil {
			t.Fatal(err)
		}
	}
	if changed, err := a.Set(ctx, "task", "JIRA-17", "t-1"); err != nil || changed {
		t.Errorf("again: %t, %v", changed, err)
	}
	for _, other := range [][2]string{{"JIRA-17", "t-2"}, {"JIRA-18", "t-1"}} {
		if _, err := a.Set(ctx, "task", other[0], other[1]); !errors.Is(err, keys.ErrTaken) {
			t.Errorf("%v: %v", other, err)
		}
	}
	if _, _, err := k.Reserve(ctx, "acme", "task", "reserved", owner("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Set(ctx, "task", "reserved", "t-3"); !errors.Is(err, keys.ErrTaken) || !strings.Contains(err.Error(), "the command a") {
		t.Errorf("a reserved key: %v", err)
	}
	if _, err := a.Set(ctx, "user", "JIRA-17", "u-1"); err != nil {
		t.Error(err)
	}
	want(t, k, "task", "JIRA-17", "t-1")
	list := func(kind string) (all []string) {
		err := a.List(ctx, kind, func(e keys.Entry, _ int64) error {
			all = append(all, e.Kind+" "+e.Key+" "+e.ID)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return all
	}
	if all := list(""); len(all) != 3 {
		t.Errorf("all keys are %q", all)
	}
	if users := list("user"); len(users) != 1 || users[0] != "user JIRA-17 u-1" {
		t.Errorf("the users are %q", users)
	}
	if known, err := a.Forget(ctx, "task", "JIRA-17"); err != nil || !known {
		t.Errorf("forget: %t, %v", known, err)
	}
	if known, err := a.Forget(ctx, "task", "JIRA-17"); err != nil || known {
		t.Errorf("forget again: %t, %v", known, err)
	}
	want(t, k, "task", "JIRA-17", "")
	// Both the key and the object can be used again, and markers are no keys.
	if _, err := a.Set(ctx, "task", "JIRA-18", "t-1"); err != nil {
		t.Error(err)
	}
	if all := list("task"); len(all) != 2 {
		t.Errorf("the tasks are %q", all)
	}
}
