package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/control/store"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// following is a board that follows the bucket, and what changed.
type following struct {
	t     testing.TB
	board *control.Board

	mu      sync.Mutex
	changes []string
}

func follow(t testing.TB, conn *bus.Conn) *following {
	t.Helper()
	f := &following{t: t, board: control.NewBoard()}
	bustest.Start(t, store.Follow(conn, f.board, func(c store.Change) {
		f.mu.Lock()
		defer f.mu.Unlock()
		by := ""
		if c.By != nil {
			by = " by " + c.By.Who
		}
		f.changes = append(f.changes, fmt.Sprintf("%s %s ended %t%s", c.Place.Key(), c.Pause.Who, c.Ended, by))
	}, bustest.Quiet()).Run)
	return f
}

func (f *following) wants(who string, directions ...control.Direction) {
	f.t.Helper()
	natstest.Eventually(f.t, fmt.Sprintf("%v are paused by %s", directions, who), func() bool {
		n := 0
		for _, d := range control.Directions() {
			if p, paused := f.board.Paused("acme", d); paused && p.Who == who {
				n++
			} else if paused {
				return false
			}
		}
		return f.board.Known() && n == len(directions)
	})
}

func (f *following) reported() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.changes...)
}

// TestFollow: two bridges see a pause, its new reason and its end, whoever wrote it and however, and one that starts later sees what
// is there. What was removed with its bucket is not paused.
func TestFollow(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	conn := bustest.Running(t, s)
	bucket := func() (kv jetstream.KeyValue) {
		natstest.Eventually(t, "the bucket is there", func() bool {
			var err error
			kv, err = conn.JetStream().KeyValue(t.Context(), "FACTRO_CONTROL")
			return err == nil
		})
		return kv
	}
	kv := bucket()
	one, two := follow(t, conn), follow(t, bustest.Running(t, s))
	pauses := store.Of(conn, bustest.Quiet())
	commands, queries := control.Place{Cloud: "acme", Direction: control.Commands}, control.Place{Cloud: "acme", Direction: control.Queries}
	one.wants("")
	if before, err := pauses.Pause(t.Context(), commands, control.Pause{Who: "anna", When: time.Now(), Why: "x"}); err != nil || before != nil {
		t.Fatal(before, err)
	}
	one.wants("anna", control.Commands)
	two.wants("anna", control.Commands)
	if before, err := pauses.Pause(t.Context(), commands, control.Pause{Who: "ben"}); err != nil || before == nil || before.Who != "anna" {
		t.Fatal(before, err)
	}
	one.wants("ben", control.Commands)
	if before, err := pauses.Resume(t.Context(), queries, control.Pause{Who: "ben"}); err != nil || before != nil {
		t.Fatal(before, err)
	}
	if before, err := pauses.Resume(t.Context(), commands, control.Pause{Who: "carl"}); err != nil || before == nil || before.Who != "ben" {
		t.Fatal(before, err)
	}
	one.wants("")
	two.wants("")
	if _, err := pauses.Pause(t.Context(), commands, control.Pause{Who: "dora"}); err != nil { // where a removal is
		t.Fatal(err)
	}
	one.wants("dora", control.Commands)
	if err := kv.Delete(t.Context(), commands.Key()); err != nil { // as the nats command does
		t.Fatal(err)
	}
	one.wants("")
	if _, err := kv.PutString(t.Context(), queries.Key(), "not JSON"); err != nil {
		t.Fatal(err)
	}
	one.wants("", control.Queries)
	follow(t, conn).wants("", control.Queries)
	want := []string{
		"pause.acme.commands anna ended false", "pause.acme.commands ben ended false", "pause.acme.commands ben ended true by carl",
		"pause.acme.commands dora ended false", "pause.acme.commands dora ended true", "pause.acme.queries  ended false",
	}
	if got := one.reported(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("it reports\n%q, want\n%q", got, want)
	}
	all, err := pauses.Read(t.Context())
	if _, is := all[queries]; err != nil || len(all) != 1 || !is {
		t.Errorf("there are %v, %v", all, err)
	}
	if err := conn.JetStream().DeleteKeyValue(t.Context(), "FACTRO_CONTROL"); err != nil {
		t.Fatal(err)
	}
	bucket() // the bridge makes it again, empty
	one.wants("")
}

// TestFollowOverOutage: what was paused stays so while NATS is away, and what changed meanwhile counts once it is back.
func TestFollowOverOutage(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	conn := bustest.Running(t, s)
	natstest.Eventually(t, "the bucket is there", func() bool {
		_, err := conn.JetStream().KeyValue(t.Context(), "FACTRO_CONTROL")
		return err == nil
	})
	f, pauses := follow(t, conn), store.Of(conn, bustest.Quiet())
	if _, err := pauses.Pause(t.Context(), control.Place{Cloud: "acme", Direction: control.Commands}, control.Pause{Who: "anna"}); err != nil {
		t.Fatal(err)
	}
	f.wants("anna", control.Commands)
	s.Stop()
	natstest.Eventually(t, "it is away", func() bool { return !conn.Up() })
	f.wants("anna", control.Commands)
	s.Restart()
	bustest.Ready(t, conn)
	f.wants("anna", control.Commands)
	if _, err := pauses.Resume(t.Context(), control.Place{Cloud: "acme", Direction: control.Commands}, control.Pause{Who: "anna"}); err != nil {
		t.Fatal(err)
	}
	f.wants("")
}

// TestNoBucket: without the bucket nothing is paused, and the error says what makes it.
func TestNoBucket(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	conn := bustest.Connect(t, s, bustest.Quiet(), func(c *bus.Config) { c.Manage = false })
	f := follow(t, conn)
	natstest.Eventually(t, "it is known", f.board.Known)
	f.wants("")
	_, err := store.Of(conn, bustest.Quiet()).Pause(t.Context(), control.Place{Cloud: "acme", Direction: control.Commands}, control.Pause{})
	if !errors.Is(err, store.ErrNoBucket) {
		t.Errorf("it says %v", err)
	}
}
