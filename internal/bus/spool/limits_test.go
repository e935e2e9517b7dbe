package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/limits"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// sizedEvent is an event whose data has this size.
func sizedEvent(t testing.TB, s *Spool, id string, size int) error {
	t.Helper()
	e := taskEvent(t, id)
	e.DataEncoded = []byte(`"` + strings.Repeat("x", size-2) + `"`)
	_, _, err := s.Publish(t.Context(), task(1), e, "acme."+id)
	return err
}

// A spool promises nothing that the broker would refuse: it knows the limits that it has seen, also after a start without
// NATS.
func TestSpoolKnowsTheLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 128 << 10 })
	b := bustest.Running(t, server)
	bustest.Ready(t, b)
	out := connected(t, server)
	cfg := out.Stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.MaxMsgSize = 64 << 10
	if _, err := out.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	b.Recheck()
	natstest.Eventually(t, "the stream's limit is seen", func() bool { return b.Limits().Of("acme") == 64<<10 })
	if other := b.Limits().Of("other"); other != 128<<10 {
		t.Errorf("another cloud may have messages of %d bytes", other)
	}
	first := newSpool(t, b, config(dir))
	stop := bustest.Start(t, first.Run)
	natstest.Eventually(t, "the limits are written down", func() bool { l, err := limits.Read(dir); return err == nil && l.Of("acme") == 64<<10 })
	stop()
	first.Close()
	server.Stop()

	away := bustest.Connect(t, server, bustest.Quiet())
	bustest.Start(t, away.Run)
	s := newSpool(t, away, config(dir))
	if err := sizedEvent(t, s, "fits", 60<<10); err != nil {
		t.Errorf("an event that fits: %v", err)
	}
	if err := sizedEvent(t, s, "headers", 64<<10-200); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("an event that does not fit with its headers: %v", err)
	}
	if n := s.queues.waiting(); n != 1 {
		t.Errorf("%d events wait", n)
	}
	server.Start()
	bustest.Start(t, s.Run)
	natstest.Eventually(t, "the spool is empty", func() bool { return s.queues.waiting() == 0 })
	if got := connected(t, server).eventIDs(); len(got) != 1 || got[0] != "fits" {
		t.Errorf("the events are %v", got)
	}
}

// Without ever having seen NATS, the spool promises what every NATS takes, and has a larger one come again.
func TestSpoolOfUnknownLimits(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	s := newSpool(t, b, config(t.TempDir()))
	if err := sizedEvent(t, s, "usual", topology.DefaultPayload-topology.HeaderRoom); err != nil {
		t.Errorf("an event of the usual size: %v", err)
	}
	large := taskEvent(t, "large")
	large.DataEncoded = []byte(`"` + strings.Repeat("x", topology.DefaultPayload) + `"`)
	msg, err := events.ToMsg(subjectOf(1), large)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.fits("acme", msg, "acme.large"); !errors.Is(err, errUnknownLimit) || errors.Is(err, events.ErrTooLarge) {
		t.Errorf("a larger one: %v", err)
	}
}

// What was answered with 202 is never cut: until the object store takes it whole, it stays in the spool.
func TestSpooledIsNeverCut(t *testing.T) {
	t.Parallel()
	server, b := away(t, func(o *server.Options) { o.MaxPayload = 256 << 10 })
	s := newSpool(t, b, config(t.TempDir()))
	s.limits.Set(topology.Limits{Payload: 1 << 20}) // as it was before somebody lowered it
	if err := sizedEvent(t, s, "large", 512<<10); err != nil {
		t.Fatal(err)
	}
	if err := sizedEvent(t, s, "after", 100); err != nil {
		t.Fatal(err)
	}
	server.Start()
	bustest.Ready(t, b)
	out := connected(t, server)
	store := func(most int32) {
		t.Helper()
		cfg := out.Stream("OBJ_FACTRO_ORIGINALS_ACME").CachedInfo().Config
		cfg.MaxMsgSize = most
		if _, err := out.JS.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Eventually(t, "the object store is there", func() bool { _, err := out.JS.ObjectStore(t.Context(), "FACTRO_ORIGINALS_ACME"); return err == nil })
	store(16)
	bustest.Start(t, s.Run)
	natstest.Eventually(t, "the one behind it is stored", func() bool { return out.Count("FACTRO_EVENTS_ACME") == 1 && s.queues.waiting() == 1 })
	if n := out.Count("FACTRO_DEAD_ACME"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	store(-1)
	natstest.Eventually(t, "the spool is empty", func() bool { return s.queues.waiting() == 0 })
	c := dial(t, server)
	l, err := deadletter.Get(t.Context(), c, "factro", "acme", 1)
	if err == nil {
		l, err = deadletter.Original(t.Context(), c, "factro", l)
	}
	if err != nil || len(l.Data) != 512<<10 {
		t.Errorf("of the event %d bytes are kept: %v", len(l.Data), err)
	}
}

// A file of limits that cannot be read keeps no spool from being opened.
func TestSpoolWithBrokenLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "limits.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, b := away(t)
	if l := newSpool(t, b, config(dir)).Limits(); l.Of("acme") != 0 {
		t.Errorf("it has the limits %+v", l)
	}
}
