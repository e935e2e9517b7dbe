package lane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
)

// TestAlong: what is carried out together is first in its lane, ready, and of one kind; priority counts first, then the stream.
func TestAlong(t *testing.T) {
	t.Parallel()
	s := lane.New(100)
	add := func(seq uint64, key, batch string, p lane.Priority) {
		s.Add(lane.Entry{Seq: seq, Lane: key, Source: "a", Priority: p, Batch: batch})
	}
	add(1, "", "x", lane.Normal)
	add(2, "k", "x", lane.Normal)
	add(3, "k", "x", lane.Normal) // the second one of its lane
	add(4, "", "y", lane.Normal)
	add(5, "", "", lane.Normal)
	add(6, "", "x", lane.Normal)
	add(7, "", "x", lane.High)
	add(8, "held", "x", lane.Normal)
	add(9, "late", "x", lane.Normal)
	add(10, "", "x", lane.Low)
	add(11, "", "x", lane.Normal)
	lane.Alone(s, 11)
	s.Hold("held")
	first, _ := s.Next(start)
	if first.Seq != 7 {
		t.Fatalf("the first one is %d", first.Seq)
	}
	if got := seqs(lane.Along(s, first, start, 3)); !slices.Equal(got, []uint64{1, 2, 6}) {
		t.Errorf("%d go along", got)
	}
	if got := seqs(lane.Along(s, first, start, 100)); !slices.Equal(got, []uint64{9, 10}) {
		t.Errorf("then %d go along", got)
	}
	for _, seq := range []uint64{7, 1, 2, 6, 9, 10} {
		if _, running := s.Has(seq); !running {
			t.Errorf("%d is not carried out", seq)
		}
	}
	s.Done(2)
	if got := seqs(lane.Along(s, first, start, 100)); !slices.Equal(got, []uint64{3}) {
		t.Errorf("after the first one of its lane %d go along", got)
	}
	s.Wait(9, start.Add(time.Minute))
	if got := lane.Along(s, first, start, 100); len(got) > 0 {
		t.Errorf("%v go along, and wait", got)
	}
	if got := seqs(lane.Along(s, first, start.Add(time.Hour), 100)); !slices.Equal(got, []uint64{9}) {
		t.Errorf("after the wait %d go along", got)
	}
	if got := lane.Along(s, lane.Entry{Seq: 4}, start, 100); len(got) > 0 {
		t.Errorf("%v go along with one that is carried out alone", got)
	}
	s.Release("held")
	rest := drain(s, start.Add(time.Hour))
	slices.Sort(rest)
	if !slices.Equal(rest, []uint64{4, 5, 8, 11}) {
		t.Errorf("%d are left", rest)
	}
}

func seqs(all []lane.Entry) (out []uint64) {
	for _, e := range all {
		out = append(out, e.Seq)
	}
	return out
}
