package subscription

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is the delivery of an event with that sequence.
func message(sequence int) *nats.Msg {
	return &nats.Msg{Reply: fmt.Sprintf("$JS.ACK.S.c.1.%d.%d.0.0", sequence, sequence), Sub: &nats.Subscription{}}
}

// settled notes a delivery and its verdict.
func (p *place) settled(t *testing.T, sequence int, final bool) {
	t.Helper()
	msg := message(sequence)
	event := p.delivered(p.era, msg)
	if event == nil {
		t.Fatalf("%d is held already", sequence)
	}
	if final {
		p.decided(event)
	}
	if !p.release(event, msg) {
		t.Fatalf("%d was delivered again", sequence)
	}
}

// TestPlaceNext: another consumer begins with the first event that has no verdict.
func TestPlaceNext(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		note func(*testing.T, *place)
		many bool
		want uint64
	}{
		"no consumer yet":      {func(*testing.T, *place) {}, false, 0},
		"nothing delivered":    {func(_ *testing.T, p *place) { p.sync(&jetstream.ConsumerInfo{}) }, false, 1},
		"all is done":          {func(t *testing.T, p *place) { t.Helper(); p.settled(t, 1, true); p.settled(t, 2, true) }, false, 3},
		"one comes again":      {func(t *testing.T, p *place) { t.Helper(); p.settled(t, 1, false); p.settled(t, 2, true) }, false, 1},
		"one is held":          {func(t *testing.T, p *place) { t.Helper(); p.delivered(0, message(4)); p.settled(t, 5, true) }, false, 4},
		"others may hold some": {func(t *testing.T, p *place) { t.Helper(); p.floor = 2; p.settled(t, 7, true) }, true, 2},
		"alone":                {func(t *testing.T, p *place) { t.Helper(); p.floor = 2; p.settled(t, 7, true) }, false, 8},
		"another stream": {func(t *testing.T, p *place) {
			t.Helper()
			p.recognise(time.Unix(1, 0))
			p.settled(t, 7, true)
			p.recognise(time.Unix(2, 0))
		}, false, 1},
		"an event of a stream that is gone": {func(t *testing.T, p *place) {
			t.Helper()
			p.recognise(time.Unix(1, 0))
			p.settled(t, 7, true)
			p.recognise(time.Unix(2, 0))
			p.delivered(0, message(9))
		}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p place
			tt.note(t, &p)
			if got := p.next(tt.many); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestPlaceHeld: an event that is delivered again while it is held is not handled twice, and its verdict is about the last
// delivery.
func TestPlaceHeld(t *testing.T) {
	t.Parallel()
	var p place
	first, second := message(1), message(1)
	event := p.delivered(0, first)
	if again := p.delivered(0, second); again != nil {
		t.Error("it is handled twice")
	}
	if p.release(event, first) {
		t.Error("the verdict about the first delivery counts")
	}
	if p.last(event) != second || !p.release(event, second) {
		t.Error("the verdict about the last delivery does not count")
	}
	if p.delivered(0, message(1)) == nil {
		t.Error("an event without a final verdict does not come again")
	}
}
