package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// plenty is a file system that never fills.
func plenty(string) (int64, error) { return 1 << 40, nil }

func openDisk(t testing.TB, dir string) *Disk {
	t.Helper()
	d, err := New(dir, 64<<20, plenty, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if err := d.Open(t.Context(), func(Content) {}); err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t testing.TB, d *Disk, text string) error {
	t.Helper()
	if err := d.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer d.Leave()
	sure, err := d.Write(t.Context(), &nats.Msg{Subject: Subject("acme"), Data: []byte(text)})
	if err != nil && !sure {
		t.Errorf("%q may be there: %v", text, err)
	}
	return err
}

// read returns what is on the disk, in order.
func read(t testing.TB, d *Disk) (all []string) {
	t.Helper()
	for after := uint64(0); ; {
		m, err := d.Next(t.Context(), Subject("acme"), after)
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			return all
		}
		after = m.Sequence
		all = append(all, string(m.Data))
	}
}

// TestRepair: a server that has switched itself off, as it does on a full disk, takes nothing until it is opened again, with all
// that was there.
func TestRepair(t *testing.T) {
	t.Parallel()
	d := openDisk(t, t.TempDir())
	for i := range 3 {
		if err := write(t, d, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	d.Repair(t.Context(), func(Content) { t.Error("a server that works was opened again") })
	if err := d.now.Load().server.Current().DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	waits := make(chan bool, 1)
	d.fault.Store(&ErrClosed) // as a write that is not answered would
	if err := write(t, d, "early"); !errors.Is(err, ErrClosed) || d.Usable() == nil {
		t.Errorf("a server that is off: %v, usable: %v", err, d.Usable())
	}
	go func() { waits <- d.AwaitRepaired(t.Context()) }()
	d.Repair(t.Context(), func(found Content) {
		if found.Messages[Subject("acme")] != 3 || found.Last != 3 {
			t.Errorf("found %+v", found)
		}
	})
	if !natstest.Receive(t, waits) || d.Usable() != nil {
		t.Errorf("after it was opened: %v", d.Usable())
	}
	if err := errors.Join(write(t, d, "3"), d.Remove(t.Context(), Subject("acme"), 1)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(read(t, d)); got != "[1 2 3]" {
		t.Errorf("there are %s", got)
	}
}

// TestRepairNotices: nobody has to write for that.
func TestRepairNotices(t *testing.T) {
	t.Parallel()
	d := openDisk(t, t.TempDir())
	if err := d.now.Load().server.Current().DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	opened := false
	d.Repair(t.Context(), func(Content) { opened = true })
	if !opened || write(t, d, "1") != nil {
		t.Errorf("it was opened again: %v", opened)
	}
}

// TestEnterEndsInTime: whoever waits for the server waits no longer than its context allows.
func TestEnterEndsInTime(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(t *testing.T, d *Disk){
		"it is being opened": func(t *testing.T, d *Disk) {
			t.Helper()
			if err := d.gate.Lock(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"it is about to be opened": func(t *testing.T, d *Disk) {
			t.Helper()
			if err := d.Enter(t.Context()); err != nil { // a write that does not end
				t.Fatal(err)
			}
			locked := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { locked <- d.gate.Lock(ctx) }()
			t.Cleanup(func() { cancel(); <-locked; d.Leave() })
			natstest.Eventually(t, "it waits", func() bool {
				free := d.gate.sem.TryAcquire(1)
				if free {
					d.gate.sem.Release(1)
				}
				return !free
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Disk{gate: newGate()}
			hold(t, d)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := d.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestObserverDelaysNobody: while an observer counts, somebody writes, and somebody opens the server again. Neither waits for
// the observer, and what it saw does not count.
func TestObserverDelaysNobody(t *testing.T) {
	t.Parallel()
	d := openDisk(t, t.TempDir())
	for name, disturb := range map[string]func(){
		"a write": func() {
			if err := write(t, d, "x"); err != nil {
				t.Error(err)
			}
		},
		"opening it": func() {
			d.fault.Store(&ErrClosed)
			d.Repair(t.Context(), func(Content) {})
		},
	} {
		if d.Observe(t.Context(), func(Content) { disturb() }) {
			t.Errorf("%s meanwhile was not noticed", name)
		}
		if err := d.Usable(); err != nil {
			t.Errorf("%s waits for the observer: %v", name, err)
		}
	}
	if !d.Observe(t.Context(), func(found Content) {
		if found.Messages[Subject("acme")] != 1 {
			t.Errorf("it sees %+v", found)
		}
	}) {
		t.Error("nobody was there, and it does not count")
	}
	if err := d.gate.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer d.gate.Unlock()
	if d.Observe(t.Context(), func(Content) { t.Error("it looks while the server is being opened") }) {
		t.Error("and it counts")
	}
}

// TestWriteHasTime: a write that has begun is not cut off by what little is left of a webhook's time.
func TestWriteHasTime(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{time.Millisecond: LeastWrite, time.Hour: time.Hour} {
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
