package bus

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// sizedEvent is an event whose data has this size.
func sizedEvent(t testing.TB, s *Spool, id string, size int) error {
	t.Helper()
	e := taskEvent(t, id)
	e.DataEncoded = []byte(`"` + strings.Repeat("x", size-2) + `"`)
	_, _, err := s.Publish(t.Context(), eventSubject, e, "acme."+id)
	return err
}

// A spool promises nothing that the broker would refuse: it knows the limits that it has seen, also after a start without
// NATS.
func TestSpoolKnowsTheLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startBroker(t, func(o *server.Options) { o.MaxPayload = 128 << 10 })
	b := run(t, server.connect(t, quiet()))
	ready(t, b)
	out := server.outside(t)
	cfg := out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.MaxMsgSize = 64 << 10
	if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	b.Recheck()
	eventually(t, "the stream's limit is seen", func() bool { return b.Limits().Of("acme") == 64<<10 })
	if other := b.Limits().Of("other"); other != 128<<10 {
		t.Errorf("another cloud may have messages of %d bytes", other)
	}
	first := spool(t, b, spoolConfig(dir))
	stop := start(t, first.Run)
	eventually(t, "the limits are written down", func() bool { l, err := SavedLimits(dir); return err == nil && l.Of("acme") == 64<<10 })
	stop()
	first.Close()
	server.stop()

	away := server.connect(t, quiet())
	start(t, away.Run)
	s := spool(t, away, spoolConfig(dir))
	if err := sizedEvent(t, s, "fits", 60<<10); err != nil {
		t.Errorf("an event that fits: %v", err)
	}
	if err := sizedEvent(t, s, "headers", 64<<10-200); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("an event that does not fit with its headers: %v", err)
	}
	if n := s.waiting(); n != 1 {
		t.Errorf("%d events wait", n)
	}
	server.start()
	start(t, s.Run)
	eventually(t, "the spool is empty", func() bool { return s.waiting() == 0 })
	if got := server.outside(t).eventIDs(); len(got) != 1 || got[0] != "fits" {
		t.Errorf("the events are %v", got)
	}
}

// Without ever having seen NATS, the spool promises what every NATS takes, and has a larger one come again.
func TestSpoolOfUnknownLimits(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	s := spool(t, b, spoolConfig(t.TempDir()))
	if err := sizedEvent(t, s, "usual", DefaultPayload-HeaderRoom); err != nil {
		t.Errorf("an event of the usual size: %v", err)
	}
	large := taskEvent(t, "large")
	large.DataEncoded = []byte(`"` + strings.Repeat("x", DefaultPayload) + `"`)
	msg, err := events.ToMsg(eventSubject, large)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.fits("acme", msg, "acme.large"); !errors.Is(err, errUnknownLimit) || errors.Is(err, events.ErrTooLarge) {
		t.Errorf("a larger one: %v", err)
	}
}

func TestSavedLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if l, err := SavedLimits(dir); err != nil || l.Of("acme") != 0 {
		t.Errorf("without a file: %+v, %v", l, err)
	}
	if err := os.WriteFile(filepath.Join(dir, limitsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SavedLimits(dir); err == nil || !strings.Contains(err.Error(), limitsFile) {
		t.Errorf("a broken file: %v", err)
	}
	_, b := away(t)
	s := spool(t, b, spoolConfig(dir)) // which opens all the same
	b.limits.sawPayload(5000)
	b.limits.sawMessages("acme", 300)
	s.Close()
	if l, err := SavedLimits(dir); err != nil || l.Of("acme") != 300 || l.Of("other") != 5000 {
		t.Errorf("saved are %+v, %v", l, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, limitsFile+".*")); err != nil || len(left) != 0 {
		t.Errorf("left over are %v, %v", left, err)
	}
}
