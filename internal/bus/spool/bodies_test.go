package spool

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/record"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// The same before the broker's word, and through a spool.
func TestSameIDOtherBodyInTheSpool(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := newSpool(t, b, config(t.TempDir()))
	ids := map[string]bool{}
	want := map[string]string{}
	for round := range 2 {
		for n := range 5 {
			e := bodyEvent(t, fmt.Sprintf(`{"n":%d}`, n))
			id, spooled, err := s.Publish(t.Context(), task(n), e, "acme.w-1")
			if err != nil || !spooled || round == 0 && ids[id] {
				t.Fatalf("round %d, %d: stored as %s, spooled %v: %v", round, n, id, spooled, err)
			}
			ids[id] = true
			want[id] = string(e.Data())
		}
	}
	if len(want) != 5 || !ids["w-1"] {
		t.Fatalf("the ids are %v", ids)
	}
	server.Start()
	bustest.Start(t, s.Run)
	natstest.Eventually(t, "the spool is empty", func() bool { return s.queues.waiting() == 0 })
	connected(t, server).wantBodies(want)
}

// Another process may have stored an event of the same id: then the broker's word is what tells.
func TestSameIDOfAnotherProcess(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := newSpool(t, b, config(t.TempDir()))
	id, spooled, err := s.Publish(t.Context(), task(1), bodyEvent(t, `{"ours":1}`), "acme.w-1")
	if err != nil || !spooled || id != "w-1" {
		t.Fatalf("stored as %s, spooled %v: %v", id, spooled, err)
	}
	server.Start()
	other := bustest.Running(t, server)
	bustest.Ready(t, other)
	if err := bustest.Publisher(t, other).Publish(t.Context(), subjectOf(2), bodyEvent(t, `{"theirs":1}`), "acme.w-1"); err != nil {
		t.Fatal(err)
	}
	bustest.Start(t, s.Run)
	natstest.Eventually(t, "the spool is empty", func() bool { return s.queues.waiting() == 0 })
	connected(t, server).wantBodies(map[string]string{"w-1": `{"theirs":1}`, identity.OwnID("w-1", []byte(`{"ours":1}`)): `{"ours":1}`})
}

// Which body came first is the stream's word, also with another process: each body is stored once, wherever it comes again.
func TestRepetitionAtAnotherProcess(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	out := connected(t, server)
	var spools []*Spool
	for range 2 {
		b := bustest.Running(t, server)
		bustest.Ready(t, b)
		spools = append(spools, newSpool(t, b, Config{Prefix: prefix}))
	}
	first, second := []byte(`{"n":1}`), []byte(`{"n":2}`)
	for i, body := range [][]byte{first, second, first, second} { // the first one at one process, and all the rest at the other
		id, _, err := spools[min(i, 1)].Publish(t.Context(), task(1), bodyEvent(t, string(body)), "acme.w-1")
		if want := map[bool]string{true: "w-1", false: identity.OwnID("w-1", second)}[string(body) == string(first)]; err != nil || id != want {
			t.Errorf("%s is stored as %s, want %s: %v", body, id, want, err)
		}
	}
	out.wantBodies(map[string]string{"w-1": string(first), identity.OwnID("w-1", second): string(second)})
}

// A search in the stream does not take another event of the same id for the one that waits in the spool.
func TestSearchComparesBodies(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	bustest.Ready(t, b)
	for _, body := range []string{`{"n":1}`, `{"n":2}`} {
		if err := bustest.Publisher(t, b).Publish(t.Context(), subjectOf(1), bodyEvent(t, body), "acme.w-1"); err != nil {
			t.Fatal(err)
		}
	}
	s := &Spool{cfg: Config{Prefix: prefix}, conn: b, log: bustest.Quiet()}
	for body, want := range map[string]bool{`{"n":1}`: true, `{"n":2}`: true, `{"n":3}`: false} {
		h := &spooled{Record: record.Record{Event: true, Stored: time.Now().Add(-time.Hour), Msg: &nats.Msg{Subject: subjectOf(1), Data: []byte(body)}, ID: "acme.w-1", Suspect: true}}
		if err := (&drain{spool: s, queue: &cloudQueue{cloud: "acme"}}).search(t.Context(), h); err != nil || h.done != want {
			t.Errorf("%s: found %v, want %v: %v", body, h.done, want, err)
		}
	}
}

// The headers of a request come with its dead letter, also through a spool.
func TestQuarantineWithHeaders(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := newSpool(t, b, config(t.TempDir()))
	request := http.Header{"Content-Type": {"application/json; charset=klingon"}, "X-Größe": {"ä", "b"}}
	if err := s.Quarantine(t.Context(), "acme", "q-1", "unusable", errors.New("no"), []byte("x"), request); err != nil {
		t.Fatal(err)
	}
	server.Start()
	bustest.Start(t, s.Run)
	natstest.Eventually(t, "the spool is empty", func() bool { return s.queues.waiting() == 0 })
	c := dial(t, server)
	l, err := deadletter.Get(t.Context(), c, "factro", "acme", 1)
	if err != nil || l.Request.Get("Content-Type") != request.Get("Content-Type") || len(l.Request["X-Größe"]) != 2 || len(l.OriginalHeader()) > 1 {
		t.Errorf("the letter has %v, and of the original %v: %v", l.Request, l.OriginalHeader(), err)
	}
}
