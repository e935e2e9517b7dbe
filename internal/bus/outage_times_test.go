package bus

import (
	"testing"
	"time"
)

// TestReturned: it comes back when the connection does, and the bus knows when it was away.
func TestReturned(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	b := run(t, br.connect(t, quiet()))
	back := make(chan error, 1)
	go func() { back <- b.Returned(t.Context()) }()
	for { // it may not be waiting yet when the broker goes
		br.stop()
		br.start()
		ready(t, b)
		select {
		case err := <-back:
			if err != nil {
				t.Error(err)
			}
			if lost, back := b.Outage(); lost.IsZero() || !lost.Before(back) {
				t.Errorf("the outage was from %s to %s", lost, back)
			}
			return
		default:
		}
	}
}

// TestOutage: a bus that never lost its connection knows of no outage, one that had to wait for its first one knows only the
// end of it, and an outage soon after another is its continuation.
func TestOutage(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	b := run(t, br.connect(t, quiet()))
	ready(t, b)
	if lost, back := b.Outage(); !lost.IsZero() || !back.IsZero() {
		t.Errorf("without an outage it is from %s to %s", lost, back)
	}
	second := newBroker(t)
	late := second.connect(t, quiet())
	start(t, late.Run)
	second.start()
	ready(t, late)
	if lost, back := late.Outage(); !lost.IsZero() || back.IsZero() {
		t.Errorf("after a late start the outage is from %s to %s", lost, back)
	}
	at := time.Now()
	o := outage{lost: at, back: at.Add(time.Minute)}
	if o.goes(o.back.Add(flapping)); !o.lost.Equal(at) {
		t.Errorf("the outage that goes on began at %s, want %s", o.lost, at)
	}
	if o.goes(o.back.Add(flapping + time.Second)); !o.lost.After(o.back) {
		t.Errorf("a new outage began at %s", o.lost)
	}
}
