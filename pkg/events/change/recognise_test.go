package change

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestRecognise: a bucket that was made again is another one at once. One that has less than was handled is another one only if that
// stays so, since a leader that was just elected may lag.
func TestRecognise(t *testing.T) {
	t.Parallel()
	made := time.Unix(1, 0)
	info := func(at time.Time, last uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{Created: at, State: jetstream.StreamState{LastSeq: last}}
	}
	w := watcher{created: made, behind: 8, current: true}
	for i, last := range []uint64{7, 9, 6, 6, 6, 7, 6, 6, 6} {
		if err := w.recognise(info(made, last)); errors.Is(err, errShort) != (last < 7) || err != nil && !errors.Is(err, errShort) {
			t.Errorf("%d: the bucket has %d: %v", i, last, err)
		}
	}
	if w.behind != 8 || !w.current {
		t.Errorf("it starts over: %+v", w)
	}
	if err := w.recognise(info(made, 6)); err != nil || w.behind != 0 || w.current {
		t.Errorf("a bucket that went back for good: %v, %+v", err, w)
	}
	w = watcher{created: made, behind: 8, current: true}
	if err := w.recognise(info(made.Add(1), 100)); err != nil || w.behind != 0 || w.current {
		t.Errorf("a bucket that was made again: %v, %+v", err, w)
	}
	if err := (&watcher{}).recognise(info(made, 0)); err != nil {
		t.Errorf("an empty bucket: %v", err)
	}
}
