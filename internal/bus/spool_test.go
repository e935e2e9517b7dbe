package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func spoolConfig(dir string) SpoolConfig {
	return SpoolConfig{Dir: dir, MaxBytes: 64 << 20, DrainPerSecond: 100_000}
}

// plenty is a file system that never fills.
func plenty(string) (int64, error) { return 1 << 40, nil }

// spool opens a spool that nobody drains yet.
func spool(t testing.TB, b *Conn, cfg SpoolConfig) *Spool {
	t.Helper()
	s, err := openSpool(t.Context(), cfg, b, plainLetters{b}, quiet(), plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience // a busy machine is no slow broker
	return s
}

// away returns a bus without a broker, and the broker, which can be started.
func away(t testing.TB, change ...func(*server.Options)) (*broker, *Conn) {
	t.Helper()
	server := newBroker(t, change...)
	b := server.connect(t, quiet())
	start(t, b.Run)
	return server, b
}

func subjectOf(entity int) string {
	return fmt.Sprintf("factro.event.acme.task.%d.TaskStateChanged", entity)
}

// store publishes an event and wants it to be spooled or not.
func store(t testing.TB, s *Spool, subject, id string, wantSpooled bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, spooled, err := s.Publish(ctx, subject, taskEvent(t, id), "acme."+id)
	if err != nil || spooled != wantSpooled {
		t.Fatalf("%s: spooled %v, %v; want %v", id, spooled, err, wantSpooled)
	}
}

// eventIDs returns the ids of the stored events, in order.
func (o outside) eventIDs() []string {
	o.t.Helper()
	var out []string
	for _, m := range o.events() {
		out = append(out, m.Header.Get("ce-id"))
	}
	return out
}

// events are the messages of the stream of events, in order.
func (o outside) events() []*jetstream.RawStreamMsg {
	o.t.Helper()
	var out []*jetstream.RawStreamMsg
	s := o.stream("FACTRO_EVENTS_ACME")
	for seq := s.CachedInfo().State.FirstSeq; seq > 0 && seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(o.t.Context(), seq)
		if err != nil {
			o.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// wantBalance waits until all is handed over, and wants nothing to be missing.
func wantBalance(t testing.TB, s *Spool) {
	t.Helper()
	eventually(t, "the spool is empty", func() bool { return s.waiting() == 0 })
	there, miss, ok := s.balance(t.Context())
	if !ok || miss != 0 || len(there.clouds) != 0 {
		t.Errorf("%d messages are not accounted for, %v are on the disk, %v", miss, there.clouds, ok)
	}
}

// TestSpoolWhileAway: what came while the broker was away is there afterwards, once, in order, as it came.
func TestSpoolWhileAway(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := spool(t, b, spoolConfig(t.TempDir()))
	start(t, s.Run)
	ctx, span := otel.Tracer("test").Start(t.Context(), "receipt")
	defer span.End()
	const each, entities = 20, 5
	for i := range each * entities {
		e := taskEvent(t, fmt.Sprint(i))
		e.SetExtension(events.ExtOrigin, "webhook")
		e.SetExtension(events.ExtRecordedTime, "2025-03-01T10:00:00Z")
		if _, spooled, err := s.Publish(ctx, subjectOf(i%entities), e, fmt.Sprintf("acme.%d größer", i)); err != nil || !spooled {
			t.Fatal(spooled, err)
		}
	}
	if err := s.Quarantine(ctx, "factro.dead.webhook.acme", "q-1", "unusable", errors.New("kein JSON"), []byte("<xml/>"), nil); err != nil {
		t.Fatal(err)
	}
	if text, ok := s.State(); text != "101 events wait" || !ok {
		t.Errorf("the state is %q, %v", text, ok)
	}
	if _, miss, ok := s.balance(t.Context()); miss != 0 || !ok {
		t.Errorf("%d are missing, %v", miss, ok)
	}
	server.start()
	wantBalance(t, s)
	if text, ok := s.State(); text != "empty" || !ok {
		t.Errorf("the state is %q, %v", text, ok)
	}
	out := server.outside(t)
	last := map[string]int{}
	all := out.events()
	for _, m := range all {
		var n int
		if _, err := fmt.Sscan(m.Header.Get("ce-id"), &n); err != nil || n < last[m.Subject] || m.Subject != subjectOf(n%entities) {
			t.Errorf("%d on %s comes after %d: %v", n, m.Subject, last[m.Subject], err)
		}
		last[m.Subject] = n
		id, err := events.DecodeHeader(delivery.Header(m.Header).Get("Nats-Msg-Id"))
		if want := fmt.Sprintf("acme.%d größer", n); id != want || err != nil {
			t.Errorf("the message id is %q, want %q", id, want)
		}
		origin, hop := delivery.Header(m.Header).Get("ce-traceparent"), delivery.Header(m.Header).Get("traceparent")
		trace := span.SpanContext().TraceID().String()
		if !strings.Contains(origin, trace) || hop == "" || strings.Contains(hop, trace) {
			t.Errorf("the origin is %q and the hop %q; the receipt was in %s", origin, hop, trace)
		}
		for name, want := range map[string]string{"ce-factroorigin": "spool", "ce-recordedtime": "2025-03-01T10:00:00Z", "Factro-Spool-Id": ""} {
			if got := delivery.Header(m.Header).Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	if len(all) != each*entities {
		t.Errorf("there are %d events", len(all))
	}
	letter := out.last("FACTRO_DEAD_ACME")
	if string(letter.Data) != "<xml/>" || letter.Header.Get(topology.HeaderDeadCode) != "unusable" || letter.Header.Get("Nats-Msg-Id") != "q-1" {
		t.Errorf("the dead letter is %v %s", letter.Header, letter.Data)
	}
	store(t, s, subjectOf(1), "after", false)
	if s.Kept() != each*entities+2 || s.drained.Load() != each*entities+1 {
		t.Errorf("kept %d, drained %d", s.Kept(), s.drained.Load())
	}
	linked := 0
	for _, sp := range spans.GetSpans() {
		if sp.Name == "drain factro.event.acme" && len(sp.Links) == 1 && sp.Links[0].SpanContext.TraceID() == span.SpanContext().TraceID() && !sp.Parent.IsValid() {
			linked++
		}
	}
	if linked != each*entities {
		t.Errorf("%d drains are linked to the receipt", linked)
	}
}

// TestSpoolOrder: while senders deliver side by side, the broker goes and comes; of each entity the events stay in order,
// and none is there twice.
func TestSpoolOrder(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	s := spool(t, b, spoolConfig(t.TempDir()))
	start(t, s.Run)
	const senders, each = 8, 60
	var group sync.WaitGroup
	half := make(chan struct{}, senders)
	for n := range senders {
		group.Go(func() {
			for i := range each {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				if _, _, err := s.Publish(ctx, subjectOf(n), taskEvent(t, fmt.Sprintf("%d-%03d", n, i)), fmt.Sprintf("acme.%d-%03d", n, i)); err != nil {
					t.Error(err)
				}
				cancel()
				if i == each/3 {
					half <- struct{}{}
				}
			}
		})
	}
	for range senders {
		receive(t, half)
	}
	server.stop()
	eventually(t, "some are spooled", func() bool { return s.written.Load() > senders })
	server.start()
	group.Wait()
	wantBalance(t, s)
	for n := range senders {
		var want, got []string
		for i := range each {
			want = append(want, fmt.Sprintf("%d-%03d", n, i))
		}
		for _, m := range server.outside(t).events() {
			if m.Subject == subjectOf(n) {
				got = append(got, m.Header.Get("ce-id"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("entity %d has %v", n, got)
		}
	}
}

// TestSpoolSurvivesACrash: a copy of the directory, taken while the spool is open and half handed over, is what a process
// that is killed leaves behind.
func TestSpoolSurvivesACrash(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	cfg := spoolConfig(dir)
	cfg.DrainPerSecond = 300
	s := spool(t, b, cfg)
	const total = 600
	var want []string
	for i := range total {
		store(t, s, subjectOf(i%7), fmt.Sprintf("%03d", i), true)
		want = append(want, fmt.Sprintf("%03d", i))
	}
	server.start()
	ready(t, b)
	stop := start(t, s.Run)
	eventually(t, "some are handed over", func() bool { return s.drained.Load() > 50 })
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	stop()
	s.Close()
	again := spool(t, b, spoolConfig(copied))
	if n := again.waiting(); n < total/2 || n > total {
		t.Errorf("%d are found", n)
	}
	start(t, again.Run)
	wantBalance(t, again)
	got := server.outside(t).eventIDs()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d, each once", len(got), total)
	}
}

// TestSpoolLongOutage: what the broker may have already is looked for when its memory of message ids has ended.
func TestSpoolLongOutage(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	out := server.outside(t)
	const there = 250 // more than one answer of a search holds
	for i := range there {
		if err := b.Publish(t.Context(), eventSubject, taskEvent(t, fmt.Sprint(i)), fmt.Sprintf("acme.größe %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	s := &Spool{bus: b, log: quiet()}
	l := &lane{cloud: "acme"}
	for _, test := range []struct {
		id      string
		age     time.Duration
		suspect bool
		done    bool
	}{
		{"acme.größe 0", topology.DefaultDuplicateWindow, true, true},
		{"acme.größe 249", topology.DefaultDuplicateWindow, true, true},
		{"acme.größe 250", topology.DefaultDuplicateWindow, true, false},
		{"acme.größe 1", topology.DefaultDuplicateWindow/2 - time.Minute, true, false}, // the stream knows it
		{"acme.größe 2", topology.DefaultDuplicateWindow, false, false},                // it was never sent
	} {
		h := &held{at: time.Now().Add(-test.age), msg: &nats.Msg{Subject: eventSubject, Data: taskEvent(t, "").Data()}, id: test.id, suspect: test.suspect}
		if err := s.search(t.Context(), l, h); err != nil || h.done != test.done {
			t.Errorf("%s: found %v, %v", test.id, h.done, err)
		}
	}
	// A search that fails is repeated, and then the message is published all the same.
	if err := out.js.DeleteStream(t.Context(), "FACTRO_EVENTS_ACME"); err != nil {
		t.Fatal(err)
	}
	h := &held{at: time.Now().Add(-topology.DefaultDuplicateWindow), msg: &nats.Msg{Subject: subjectOf(2)}, id: "x", suspect: true}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range searchAttempts {
		if err := s.search(ended, l, h); h.done || (err == nil) != (i == searchAttempts-1) {
			t.Errorf("search %d: %v", i, err)
		}
	}
}

// TestSpoolMarks: what may be at the broker already says so.
func TestSpoolMarks(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet(), func(c *Config) { c.Manage = false })) // nobody makes the streams
	dir := t.TempDir()
	s := spool(t, b, spoolConfig(dir))
	store(t, s, subjectOf(1), "tried", true)
	store(t, s, subjectOf(2), "behind", true)
	held := func(s *Spool) []*held {
		l := s.lane("acme")
		if err := s.fill(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		return l.drain.held
	}
	if got := held(s); len(got) != 2 || !got[0].suspect || got[1].suspect {
		t.Errorf("%d are in hand: %v", len(got), got)
	}
	s.Close()
	again := spool(t, b, spoolConfig(dir))
	store(t, again, subjectOf(3), "new", true)
	if got := held(again); len(got) != 3 || !got[0].suspect || !got[1].suspect || got[2].suspect {
		t.Errorf("%d are in hand: %v", len(got), got)
	}
}

// TestSpoolFull: a full spool and a full file system are errors that say when to come again, and both pass.
func TestSpoolFull(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	var mu sync.Mutex
	left := int64(1 << 40)
	free := func(string) (int64, error) { mu.Lock(); defer mu.Unlock(); return left, nil }
	cfg := spoolConfig(t.TempDir())
	cfg.MaxBytes = minSpool
	s, err := openSpool(t.Context(), cfg, b, plainLetters{b}, quiet(), free)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b.limits.sawPayload(8 << 20)
	large := taskEvent(t, "large")
	large.DataEncoded = []byte(`"` + strings.Repeat("x", 3<<20) + `"`)
	publish := func(id string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := s.Publish(ctx, eventSubject, large, id)
		return err
	}
	wantPassing := func(err error) {
		t.Helper()
		var passing interface{ RetryAfter() time.Duration }
		if !errors.As(err, &passing) || passing.RetryAfter() != blindRetry || !errors.Is(err, errSpoolFull) {
			t.Errorf("got %v", err)
		}
		if text, ok := s.State(); ok || !strings.HasPrefix(text, "full") {
			t.Errorf("the state is %q, %v", text, ok)
		}
	}
	n := 0
	for err = publish("0"); err == nil; err = publish(fmt.Sprint(n)) {
		n++
	}
	wantPassing(err)
	if n < 4 || n > 5 {
		t.Errorf("%d of 3 MiB went into 16 MiB", n)
	}
	mu.Lock()
	left = spoolReserve + 1<<20
	mu.Unlock()
	wantPassing(publish("no space"))
	mu.Lock()
	left = 1 << 40
	mu.Unlock()
	if _, miss, ok := s.balance(t.Context()); miss != 0 || !ok {
		t.Errorf("%d are missing", miss)
	}
	server.Options.MaxPayload = 4 << 20
	server.start()
	start(t, s.Run)
	wantBalance(t, s)
	if got := server.outside(t).count("FACTRO_EVENTS_ACME"); got != uint64(n) {
		t.Errorf("%d of %d are in the stream", got, n)
	}
	if text, ok := s.State(); text != "empty" || !ok {
		t.Errorf("the state is %q, %v", text, ok)
	}
}

// TestSpoolMends: a server that has switched itself off, as it does on a full disk, is opened anew with all that was there.
func TestSpoolMends(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := spool(t, b, spoolConfig(t.TempDir()))
	start(t, s.Run)
	for i := range 10 {
		store(t, s, subjectOf(1), fmt.Sprint(i), true)
	}
	if err := s.disk.server.Current().DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is noticed, and works again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, spooled, err := s.Publish(ctx, subjectOf(1), taskEvent(t, "10"), "acme.10")
		return err == nil && spooled
	})
	server.start()
	wantBalance(t, s)
	want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}
	if got := server.outside(t).eventIDs(); !slices.Equal(got, want) {
		t.Errorf("the events are %v", got)
	}
}

// TestSpoolStartsWithoutADisk: a disk that cannot be used at the start does not keep webhooks from a broker that is there,
// and is used as soon as it can be.
func TestSpoolStartsWithoutADisk(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	cfg := spoolConfig(t.TempDir())
	before := spool(t, b, cfg)
	if err := before.disk.mu.RLock(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // as if the broker had been away
		msg := nats.NewMsg("spool.acme")
		msg.Header.Set(headerSpoolSubject, subjectOf(i))
		if _, err := before.disk.write(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	before.disk.mu.RUnlock()
	before.Close()
	there, aside := filepath.Join(cfg.Dir, "jetstream"), filepath.Join(cfg.Dir, "aside")
	if err := os.Rename(there, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := spool(t, b, cfg)
	if text, ok := s.State(); ok || !strings.HasPrefix(text, "not writable: ") {
		t.Errorf("the state is %q, %v", text, ok)
	}
	store(t, s, eventSubject, "1", false)
	if err := errors.Join(os.Remove(there), os.Rename(aside, there)); err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	eventually(t, "the disk is used", func() bool { _, ok := s.State(); return ok && s.drained.Load() == 3 })
	wantBalance(t, s)
}

// TestSpoolIsLocked: a directory belongs to one process.
func TestSpoolIsLocked(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	cfg := spoolConfig(t.TempDir())
	s := spool(t, b, cfg)
	if _, err := OpenSpool(t.Context(), cfg, b, plainLetters{b}, quiet()); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("got %v", err)
	}
	s.Close()
	spool(t, b, cfg)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSpool(t.Context(), spoolConfig(file), b, plainLetters{b}, quiet()); err == nil || !strings.Contains(err.Error(), "spool.dir") {
		t.Errorf("got %v", err)
	}
}

// TestSpoolOff: without a directory it is the bus, and a webhook waits for the broker as long as it may.
func TestSpoolOff(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := spool(t, b, SpoolConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := s.Publish(ctx, eventSubject, taskEvent(t, "1"), "acme.1"); err == nil {
		t.Error("it was stored nowhere")
	}
	server.start()
	store(t, s, eventSubject, "2", false)
	if text, ok := s.State(); text != "" || ok || s.Kept() != 1 || s.Run(t.Context()) != nil {
		t.Errorf("the state is %q, %v, kept %d", text, ok, s.Kept())
	}
}

// TestSpoolTurns: a webhook that waits for an earlier one of its entity gives up when its time is over.
func TestSpoolTurns(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	s := spool(t, b, SpoolConfig{})
	entered, leave := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = s.keep(t.Context(), parcel{cloud: "acme", entity: "x", direct: func(context.Context) error {
			close(entered)
			<-leave
			return nil
		}})
	}()
	receive(t, entered)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.keep(ctx, parcel{cloud: "acme", entity: "x", direct: func(context.Context) error { t.Error("it overtook"); return nil }})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(leave)
}

// TestSpoolHangs: a broker that hangs keeps a webhook only so long that the places of those at work do not run out, and
// who had to wait behind it does not try again.
func TestSpoolHangs(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	s := spool(t, b, spoolConfig(t.TempDir()))
	s.attempt = directTimeout
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	message := func() (*nats.Msg, error) {
		return &nats.Msg{Subject: subjectOf(1), Header: nats.Header{}}, nil
	}
	left := time.Duration(0)
	spooled, err := s.keep(ctx, parcel{cloud: "acme", entity: "x", id: "1", message: message, direct: func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return context.DeadlineExceeded
	}})
	if !spooled || err != nil || left <= 0 || left > directTimeout {
		t.Errorf("it had %s for the broker and was spooled %v, %v", left, spooled, err)
	}
	s.patience = 0 // as if it had waited for its turn
	spooled, err = s.keep(ctx, parcel{cloud: "other", entity: "y", id: "2", message: message, direct: func(context.Context) error {
		t.Error("it was tried at the broker")
		return nil
	}})
	if !spooled || err != nil {
		t.Errorf("spooled %v, %v", spooled, err)
	}
}

// TestSpoolIsBeingOpened: while the server is opened anew, which may take long, webhooks and scrapes do not wait for it,
// and a webhook whose time is over is not taken for the disk's failure.
func TestSpoolIsBeingOpened(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	s := spool(t, b, spoolConfig(t.TempDir()))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Publish(over, subjectOf(1), taskEvent(t, "0"), "acme.0"); !errors.Is(err, context.Canceled) || s.disk.usable() != nil {
		t.Errorf("got %v, and the disk says %v", err, s.disk.usable())
	}
	s.disk.fault.Store(&errSpoolClosed)
	if err := s.disk.mu.Lock(t.Context()); err != nil { // as mend has it
		t.Fatal(err)
	}
	defer s.disk.mu.Unlock()
	s.patience = -1 // nobody tries the broker first
	store(t, s, subjectOf(1), "1", false)
	if _, _, ok := s.balance(t.Context()); ok {
		t.Error("there is a balance of what nobody sees")
	}
}

// TestSpoolIsMended: with the broker away, a webhook waits for a disk that is being opened anew, if it has the time.
func TestSpoolIsMended(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	s := spool(t, b, spoolConfig(t.TempDir()))
	server.stop()
	eventually(t, "the outage is known", func() bool { return !b.Up() })
	s.disk.fault.Store(&errSpoolClosed)
	few, cancel := context.WithTimeout(t.Context(), leastWrite/2)
	defer cancel()
	if _, _, err := s.Publish(few, subjectOf(1), taskEvent(t, "0"), "acme.0"); !errors.Is(err, errSpoolClosed) {
		t.Errorf("without the time to wait: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, spooled, err := s.Publish(t.Context(), subjectOf(1), taskEvent(t, "1"), "acme.1")
		if err == nil && !spooled {
			err = errors.New("it is not in the spool")
		}
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(200 * time.Millisecond): // long enough to see one that does not
	}
	s.disk.mend(t.Context(), s.recount)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestSpoolWriteHasTime: a write that has begun is not cut off by what little is left of a webhook's time.
func TestSpoolWriteHasTime(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{time.Millisecond: leastWrite, time.Hour: time.Hour} {
		few, cancel := context.WithTimeout(t.Context(), left)
		ctx, stop := enough(few)
		deadline, _ := ctx.Deadline()
		if got := time.Until(deadline); got > want || got < want-time.Minute || ctx.Err() != nil {
			t.Errorf("of %s it has %s", left, got)
		}
		stop()
		cancel()
	}
}

func TestEntity(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ subject, about, want string }{
		{"factro.event.acme.task.1.TaskCreated", "task/1", "factro.event.acme.task.1"},
		{"factro.event.acme.task._.TaskCreated", "task/größe", "acme task/größe"},
		{"factro.event.acme.task._.TaskCreated", "", ""},
		{"factro.event.acme.task._._", "task/x.y", "acme task/x.y"},
	} {
		if got := entity(test.subject, test.about); got != test.want {
			t.Errorf("%s about %q: %q, want %q", test.subject, test.about, got, test.want)
		}
	}
}

// TestTempo: what a sender is told follows the measured rate.
func TestTempo(t *testing.T) {
	t.Parallel()
	var p tempo
	now := time.Now()
	if got := p.perSecond(now); got != 0 {
		t.Errorf("%f before anything moved", got)
	}
	for i := range 60 {
		p.add(10, now.Add(time.Duration(i)*100*time.Millisecond))
	}
	if got := p.perSecond(now.Add(6 * time.Second)); got < 80 || got > 120 {
		t.Errorf("%f a second, want about 100", got)
	}
	if got := p.perSecond(now.Add(time.Minute)); got != 0 {
		t.Errorf("%f after a minute without any", got)
	}
}
