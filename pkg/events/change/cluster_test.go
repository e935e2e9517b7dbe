package change_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// TestWatchCluster: each member goes away once while states are written. All objects come in their last state, and none goes back.
func TestWatchCluster(t *testing.T) {
	t.Parallel()
	const objects = 30
	c := natstest.StartCluster(t)
	m := &mirror{t: t}
	_, m.js = c.Connect(t, nats.ReconnectWait(50*time.Millisecond), nats.MaxReconnects(-1))
	natstest.Eventually(t, "the bucket is there", func() bool {
		_, err := m.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "FACTRO_STATE_ACME", History: 1, Replicas: 3})
		return err == nil
	})
	round := func(name string) {
		for n := range objects {
			m.put("task", strconv.Itoa(n), fmt.Sprintf(`{"round":%q}`, name))
		}
	}
	round("first")
	w := m.watch(change.WithLog(slog.New(slog.DiscardHandler)))
	w.snapshot(t)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i, member := range c.Members {
			member.Stop()
			round(strconv.Itoa(i))
			member.Start()
			natstest.Eventually(t, "the cluster has a leader of the bucket", func() bool { return c.Leader("KV_FACTRO_STATE_ACME") != nil })
			round(strconv.Itoa(i) + " again")
		}
		round("last")
	}()
	last, final, ends := map[string]uint64{}, 0, 1
	for final < objects {
		select {
		case s := <-w.got:
			if s.ID == "" {
				ends++
				continue
			}
			if s.Revision <= last[s.ID] {
				t.Errorf("%s comes with revision %d after %d", s.ID, s.Revision, last[s.ID])
			}
			last[s.ID] = s.Revision
			if string(s.Data) == `{"round":"last"}` {
				final++
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%d of %d objects came", final, objects)
		}
	}
	if <-written; ends != 1 {
		t.Errorf("the snapshot ended %d times", ends)
	}
}

// TestRights: who may publish to the documented subjects can read, and nobody else waits for ever.
func TestRights(t *testing.T) {
	t.Parallel()
	user := func(name string, may ...string) *server.User {
		return &server.User{Username: name, Password: "x", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: may}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}}
	}
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "bridge", Password: "x"},
			user("getter", "$JS.API.DIRECT.GET.KV_FACTRO_STATE_ACME"),
			user("watcher", "$JS.API.STREAM.INFO.KV_FACTRO_STATE_ACME", "$JS.API.CONSUMER.*.KV_FACTRO_STATE_ACME.>", "$JS.API.CONSUMER.MSG.NEXT.KV_FACTRO_STATE_ACME.>"),
		}
	})
	as := func(name string) *mirror {
		m := &mirror{t: t}
		quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
		_, m.js = s.Connect(t, nats.UserInfo(name, "x"), quiet)
		return m
	}
	m := as("bridge")
	m.makeBucket()
	m.put("task", "1", `{}`)
	getter, watcher := as("getter"), as("watcher")
	if _, err := change.Get(t.Context(), getter.js, "acme", "task", "1"); err != nil {
		t.Error(err)
	}
	watcher.watch().want(t, "task.1", ".")
	if _, err := change.Get(t.Context(), watcher.js, "acme", "task", "1"); err == nil {
		t.Error("who may not get gets")
	}
	if err := change.Watch(t.Context(), getter.js, "acme", events.Any, nil); err == nil || errors.Is(err, change.ErrNotFound) {
		t.Errorf("who may not watch gets %v", err)
	}
}
