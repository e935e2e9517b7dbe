package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/record"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// TestSpoolWhileAway: what came while the broker was away is there afterwards, once, in order, as it came.
func TestSpoolWhileAway(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := newSpool(t, b, config(t.TempDir()))
	bustest.Start(t, s.Run)
	ctx, span := otel.Tracer("test").Start(t.Context(), "receipt")
	defer span.End()
	const each, entities = 20, 5
	for i := range each * entities {
		e := taskEvent(t, fmt.Sprint(i))
		e.SetExtension(attr.Origin, "webhook")
		e.SetExtension(attr.RecordedTime, "2025-03-01T10:00:00Z")
		if _, spooled, err := s.Publish(ctx, task(i%entities), e, fmt.Sprintf("acme.%d größer", i)); err != nil || !spooled {
			t.Fatal(spooled, err)
		}
	}
	if err := s.Quarantine(ctx, "acme", "q-1", "unusable", errors.New("kein JSON"), []byte("<xml/>"), nil); err != nil {
		t.Fatal(err)
	}
	if text, ok := s.State(); text != "101 events wait" || !ok {
		t.Errorf("the state is %q, %v", text, ok)
	}
	if _, miss, ok := s.balance(t.Context()); miss != 0 || !ok {
		t.Errorf("%d are missing, %v", miss, ok)
	}
	server.Start()
	wantBalance(t, s)
	if text, ok := s.State(); text != "empty" || !ok {
		t.Errorf("the state is %q, %v", text, ok)
	}
	out := connected(t, server)
	last := map[string]int{}
	all := out.Events()
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
	letter := out.Last("FACTRO_DEAD_ACME")
	if string(letter.Data) != "<xml/>" || letter.Header.Get(headerDeadCode) != "unusable" || letter.Header.Get("Nats-Msg-Id") != "q-1" {
		t.Errorf("the dead letter is %v %s", letter.Header, letter.Data)
	}
	store(t, s, task(1), "after", false)
	if s.Kept() != each*entities+2 || s.account.drained.Load() != each*entities+1 {
		t.Errorf("kept %d, drained %d", s.Kept(), s.account.drained.Load())
	}
	linked := 0
	for _, sp := range bustest.Spans.GetSpans() {
		if sp.Name == "drain factro.event.acme" && len(sp.Links) == 1 && sp.Links[0].SpanContext.TraceID() == span.SpanContext().TraceID() && !sp.Parent.IsValid() {
			linked++
		}
	}
	if linked < each*entities { // one that gets no answer in time is sent again
		t.Errorf("%d drains are linked to the receipt", linked)
	}
}

// TestSpoolOrder: while senders deliver side by side, the broker goes and comes; of each entity the events stay in order,
// and none is there twice.
func TestSpoolOrder(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	s := newSpool(t, b, config(t.TempDir()))
	bustest.Start(t, s.Run)
	const senders, each = 8, 60
	var group sync.WaitGroup
	half := make(chan struct{}, senders)
	for n := range senders {
		group.Go(func() {
			for i := range each {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				if _, _, err := s.Publish(ctx, task(n), taskEvent(t, fmt.Sprintf("%d-%03d", n, i)), fmt.Sprintf("acme.%d-%03d", n, i)); err != nil {
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
		natstest.Receive(t, half)
	}
	server.Stop()
	natstest.Eventually(t, "some are spooled", func() bool { return s.account.written.Load() > senders })
	server.Start()
	group.Wait()
	wantBalance(t, s)
	for n := range senders {
		var want, got []string
		for i := range each {
			want = append(want, fmt.Sprintf("%d-%03d", n, i))
		}
		for _, m := range connected(t, server).Events() {
			if m.Subject == subjectOf(n) {
				got = append(got, m.Header.Get("ce-id"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("entity %d has %v", n, got)
		}
	}
}

// TestSpoolAfterACrash: a copy of the directory, taken while the spool is open and half handed over, is what a process
// that is killed leaves behind.
func TestSpoolAfterACrash(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	cfg := config(dir)
	cfg.DrainPerSecond = 300
	s := newSpool(t, b, cfg)
	const total = 600
	var want []string
	for i := range total {
		store(t, s, task(i%7), fmt.Sprintf("%03d", i), true)
		want = append(want, fmt.Sprintf("%03d", i))
	}
	server.Start()
	bustest.Ready(t, b)
	stop := bustest.Start(t, s.Run)
	natstest.Eventually(t, "some are handed over", func() bool { return s.account.drained.Load() > 50 })
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	stop()
	s.Close()
	again := newSpool(t, b, config(copied))
	if n := again.queues.waiting(); n < total/2 || n > total {
		t.Errorf("%d are found", n)
	}
	bustest.Start(t, again.Run)
	wantBalance(t, again)
	got := connected(t, server).eventIDs()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d, each once", len(got), total)
	}
}

// TestSpoolLongOutage: what the broker may have already is looked for when its memory of message ids has ended.
func TestSpoolLongOutage(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	out := connected(t, server)
	const there = 250 // more than one answer of a search holds
	for i := range there {
		if err := bustest.Publisher(t, b).Publish(t.Context(), subjectOf(1), taskEvent(t, fmt.Sprint(i)), fmt.Sprintf("acme.größe %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	s := &Spool{cfg: Config{Prefix: prefix}, conn: b, log: bustest.Quiet()}
	l := &drain{spool: s, queue: &cloudQueue{cloud: "acme"}}
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
		msg := &nats.Msg{Subject: subjectOf(1), Data: taskEvent(t, "").Data()}
		h := &spooled{Record: record.Record{Event: true, Stored: time.Now().Add(-test.age), Msg: msg, ID: test.id, Suspect: test.suspect}}
		if err := l.search(t.Context(), h); err != nil || h.done != test.done {
			t.Errorf("%s: found %v, %v", test.id, h.done, err)
		}
	}
	// A search that fails is repeated, and then the message is published all the same.
	if err := out.JS.DeleteStream(t.Context(), "FACTRO_EVENTS_ACME"); err != nil {
		t.Fatal(err)
	}
	h := &spooled{Record: record.Record{Event: true, Stored: time.Now().Add(-topology.DefaultDuplicateWindow), Msg: &nats.Msg{Subject: subjectOf(2)}, ID: "x", Suspect: true}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range searchAttempts {
		if err := l.search(ended, h); h.done || (err == nil) != (i == searchAttempts-1) {
			t.Errorf("search %d: %v", i, err)
		}
	}
}

// TestSpoolMarks: what may be at the broker already says so.
func TestSpoolMarks(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet(), func(c *bus.Config) { c.Manage = false })) // nobody makes the streams
	dir := t.TempDir()
	s := newSpool(t, b, config(dir))
	store(t, s, task(1), "tried", true)
	store(t, s, task(2), "behind", true)
	held := func(s *Spool) []*spooled {
		l := &drain{spool: s, queue: s.queues.of("acme")}
		if err := l.fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l.held
	}
	if got := held(s); len(got) != 2 || !got[0].Suspect || got[1].Suspect {
		t.Errorf("%d are in flight: %v", len(got), got)
	}
	s.Close()
	again := newSpool(t, b, config(dir))
	store(t, again, task(3), "new", true)
	if got := held(again); len(got) != 3 || !got[0].Suspect || !got[1].Suspect || got[2].Suspect {
		t.Errorf("%d are in flight: %v", len(got), got)
	}
}

// TestSpoolTooLarge: what the broker never takes is refused at once while it is there, and otherwise becomes a dead
// letter that holds up nobody.
func TestSpoolTooLarge(t *testing.T) {
	t.Parallel()
	server, b := away(t, func(o *server.Options) { o.MaxPayload = 128 << 10 })
	s := newSpool(t, b, config(t.TempDir()))
	bustest.Start(t, s.Run)
	large := taskEvent(t, "large")
	large.DataEncoded = []byte(`"` + strings.Repeat("ü", 100<<10) + `"`)
	store(t, s, task(1), "before", true)
	if _, spooled, err := s.Publish(t.Context(), task(1), large, "acme.large"); err != nil || !spooled {
		t.Fatal(spooled, err)
	}
	store(t, s, task(1), "after", true)
	server.Start()
	wantBalance(t, s)
	out := connected(t, server)
	if got := out.eventIDs(); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("the events are %v", got)
	}
	letter := out.Last("FACTRO_DEAD_ACME")
	if letter.Subject != "factro.dead.webhook.acme" || letter.Header.Get(headerDeadCode) != "too_large" ||
		letter.Header.Get(headerDeadSubject) != subjectOf(1) || letter.Header.Get("ce-id") != "large" || letter.Header.Get(headerDeadCut) == "" {
		t.Errorf("the dead letter is on %s: %v", letter.Subject, letter.Header)
	}
	if _, _, err := s.Publish(t.Context(), task(1), large, "acme.large2"); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// TestSpoolFull: a full spool and a full file system are errors that say when to come again, and both pass.
func TestSpoolFull(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	var mu sync.Mutex
	left := int64(1 << 40)
	free := func(string) (int64, error) { mu.Lock(); defer mu.Unlock(); return left, nil }
	cfg := config(t.TempDir())
	cfg.MaxBytes = minBytes
	s, err := open(t.Context(), cfg, b, bustest.Publisher(t, b), letters(t, b), bustest.Quiet(), free)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.limits.Set(topology.Limits{Payload: 8 << 20}) // as an earlier process has seen it
	large := taskEvent(t, "large")
	large.DataEncoded = []byte(`"` + strings.Repeat("x", 3<<20) + `"`)
	publish := func(id string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := s.Publish(ctx, task(1), large, id)
		return err
	}
	wantPassing := func(err error) {
		t.Helper()
		var passing interface{ RetryAfter() time.Duration }
		if !errors.As(err, &passing) || passing.RetryAfter() != 30*time.Second || !errors.Is(err, disk.ErrFull) {
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
	left = disk.Reserve + 1<<20
	mu.Unlock()
	wantPassing(publish("no space"))
	mu.Lock()
	left = 1 << 40
	mu.Unlock()
	if _, miss, ok := s.balance(t.Context()); miss != 0 || !ok {
		t.Errorf("%d are missing", miss)
	}
	server.Options.MaxPayload = 4 << 20
	server.Start()
	bustest.Start(t, s.Run)
	wantBalance(t, s)
	if got := connected(t, server).Count("FACTRO_EVENTS_ACME"); got != uint64(n) {
		t.Errorf("%d of %d are in the stream", got, n)
	}
	if text, ok := s.State(); text != "empty" || !ok {
		t.Errorf("the state is %q, %v", text, ok)
	}
}

// damage makes the directory of a spool one that its server cannot be opened on, until it is repaired.
func damage(t testing.TB, dir string) (repair func()) {
	t.Helper()
	there, aside := filepath.Join(dir, "jetstream"), filepath.Join(dir, "aside")
	if err := os.Rename(there, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		err := os.Remove(there)
		if _, missing := os.Stat(aside); missing == nil {
			err = errors.Join(err, os.Rename(aside, there))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpoolStartsWithoutADisk: a disk that cannot be used at the start does not keep webhooks from a broker that is there,
// and is used as soon as it can be.
func TestSpoolStartsWithoutADisk(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	cfg := config(t.TempDir())
	before := newSpool(t, b, cfg)
	if err := before.disk.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // as if the broker had been away
		msg := nats.NewMsg("spool.acme")
		msg.Header.Set("Factro-Spool-Subject", subjectOf(i))
		if _, err := before.disk.Write(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	before.disk.Leave()
	before.Close()
	repair := damage(t, cfg.Dir)
	s := newSpool(t, b, cfg)
	if text, ok := s.State(); ok || !strings.HasPrefix(text, "not writable: ") {
		t.Errorf("the state is %q, %v", text, ok)
	}
	store(t, s, task(1), "1", false)
	repair()
	bustest.Start(t, s.Run)
	natstest.Eventually(t, "the disk is used", func() bool { _, ok := s.State(); return ok && s.account.drained.Load() == 3 })
	wantBalance(t, s)
}

// TestSpoolIsLocked: a directory belongs to one process.
func TestSpoolIsLocked(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	cfg := config(t.TempDir())
	s := newSpool(t, b, cfg)
	if _, err := Open(t.Context(), cfg, b, bustest.Publisher(t, b), letters(t, b), bustest.Quiet()); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("got %v", err)
	}
	s.Close()
	newSpool(t, b, cfg)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), config(file), b, bustest.Publisher(t, b), letters(t, b), bustest.Quiet()); err == nil || !strings.Contains(err.Error(), "spool.dir") {
		t.Errorf("got %v", err)
	}
}

// TestSpoolOff: without a directory it is the bus, and a webhook waits for the broker as long as it may.
func TestSpoolOff(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := newSpool(t, b, Config{Prefix: prefix})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := s.Publish(ctx, task(1), taskEvent(t, "1"), "acme.1"); err == nil {
		t.Error("it was stored nowhere")
	}
	server.Start()
	bustest.Ready(t, b)
	store(t, s, task(1), "2", false)
	if text, ok := s.State(); text != "" || ok || s.Kept() != 1 || s.Run(t.Context()) != nil {
		t.Errorf("the state is %q, %v, kept %d", text, ok, s.Kept())
	}
}

// TestSpoolEntityLock: a webhook that waits for an earlier one of its entity gives up when its time is over.
func TestSpoolEntityLock(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	s := newSpool(t, b, Config{Prefix: prefix})
	entered, leave := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = s.keep(t.Context(), pendingPublish{cloud: "acme", entity: "x", direct: func(context.Context) error {
			close(entered)
			<-leave
			return nil
		}})
	}()
	natstest.Receive(t, entered)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.keep(ctx, pendingPublish{cloud: "acme", entity: "x", direct: func(context.Context) error { t.Error("it overtook"); return nil }})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(leave)
}

// TestSpoolHangs: a broker that hangs keeps a webhook only so long that the places of those at work do not run out, and
// who had to wait behind it does not try again.
func TestSpoolHangs(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	s := newSpool(t, b, config(t.TempDir()))
	s.attempt = directTimeout
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	message := func() (*nats.Msg, error) {
		return &nats.Msg{Subject: subjectOf(1), Header: nats.Header{}}, nil
	}
	left := time.Duration(0)
	spooled, err := s.keep(ctx, pendingPublish{cloud: "acme", entity: "x", id: "1", message: message, direct: func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return context.DeadlineExceeded
	}})
	if !spooled || err != nil || left <= 0 || left > directTimeout {
		t.Errorf("it had %s for the broker and was spooled %v, %v", left, spooled, err)
	}
	s.patience = 0 // as if it had waited for its turn
	spooled, err = s.keep(ctx, pendingPublish{cloud: "other", entity: "y", id: "2", message: message, direct: func(context.Context) error {
		t.Error("it was tried at the broker")
		return nil
	}})
	if !spooled || err != nil {
		t.Errorf("spooled %v, %v", spooled, err)
	}
}

// opening has the disk of a spool be opened again, and be open to nobody until the test is over.
func opening(t testing.TB, s *Spool, repair func()) {
	t.Helper()
	repair()
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		s.disk.Repair(context.Background(), func(there disk.Content) { //nolint:usetesting // it goes on after the test
			close(entered)
			<-leave
			s.recount(there)
		})
	}()
	t.Cleanup(func() { close(leave); <-done })
	natstest.Receive(t, entered)
}

// TestSpoolIsBeingOpened: while the server is opened again, which may take long, webhooks and scrapes do not wait for it.
func TestSpoolIsBeingOpened(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	cfg := config(t.TempDir())
	repair := damage(t, cfg.Dir)
	s := newSpool(t, b, cfg)
	opening(t, s, repair)
	s.patience = -1 // nobody tries the broker first
	store(t, s, task(1), "1", false)
	if _, _, ok := s.balance(t.Context()); ok {
		t.Error("there is a balance of what nobody sees")
	}
}

// TestSpoolTimeIsOver: a webhook whose time is over is not taken for the disk's failure.
func TestSpoolTimeIsOver(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	s := newSpool(t, b, config(t.TempDir()))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Publish(over, task(1), taskEvent(t, "0"), "acme.0"); !errors.Is(err, context.Canceled) || s.disk.Usable() != nil {
		t.Errorf("got %v, and the disk says %v", err, s.disk.Usable())
	}
}

// TestSpoolIsRepaired: with the broker away, a webhook waits for a disk that is being opened again, if it has the time.
func TestSpoolIsRepaired(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	cfg := config(t.TempDir())
	repair := damage(t, cfg.Dir)
	s := newSpool(t, b, cfg)
	few, cancel := context.WithTimeout(t.Context(), disk.LeastWrite/2)
	defer cancel()
	if _, _, err := s.Publish(few, task(1), taskEvent(t, "0"), "acme.0"); !errors.Is(err, disk.ErrClosed) {
		t.Errorf("without the time to wait: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, spooled, err := s.Publish(t.Context(), task(1), taskEvent(t, "1"), "acme.1")
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
	repair()
	s.disk.Repair(t.Context(), s.recount)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestEntity: an event from the disk keeps its order with those that were not there.
func TestEntity(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ id, action, about, want string }{
		{"1", "TaskCreated", "task/1", "acme.task.1"},
		{"1", "Task größer", "task/1", "acme.task.1"},
		{"größe", "TaskCreated", "task/größe", "acme task/größe"},
		{"", "TaskCreated", "", ""},
		{"x.y", "_", "task/x.y", "acme task/x.y"},
	} {
		to := events.EventAddress{Cloud: "acme", Resource: "task", ID: test.id, Action: test.action}
		if got := record.EntityOf(to, test.about); got != test.want {
			t.Errorf("%+v about %q: %q, want %q", to, test.about, got, test.want)
		}
		e := taskEvent(t, "1")
		if test.about != "" {
			e.SetSubject(test.about)
		}
		msg, err := eventMessage(t.Context(), prefix.Event(to.Cloud, to.Resource, to.ID, to.Action), e)
		if err != nil {
			t.Fatal(err)
		}
		packed := record.Pack(msg, "acme", "acme.1", false)
		read := record.Unpack(&jetstream.RawStreamMsg{Subject: packed.Subject, Header: packed.Header, Data: packed.Data}, 0)
		if !read.Event || read.Entity != test.want || read.Msg.Subject != msg.Subject || read.ID != "acme.1" {
			t.Errorf("from the disk it is %+v, want the entity %q", read, test.want)
		}
	}
}
