package lane_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// drain carries out all that is ready, one after the other.
func drain(s *lane.Schedule, now time.Time) (order []uint64) {
	for {
		e, ok := s.Next(now)
		if !ok {
			return order
		}
		order = append(order, e.Seq)
		s.Done(e.Seq)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	entry := func(seq uint64, key, source string, p lane.Priority) lane.Entry {
		return lane.Entry{Seq: seq, Lane: key, Source: source, Priority: p}
	}
	n := lane.Normal
	for name, tt := range map[string]struct {
		entries []lane.Entry
		want    []uint64
	}{
		"stream":               {[]lane.Entry{entry(1, "", "a", n), entry(2, "", "a", n), entry(3, "", "a", n)}, []uint64{1, 2, 3}},
		"late delivery":        {[]lane.Entry{entry(2, "x", "a", n), entry(1, "x", "a", n)}, []uint64{1, 2}},
		"priority":             {[]lane.Entry{entry(1, "", "a", lane.Low), entry(2, "", "a", n), entry(3, "", "a", lane.High)}, []uint64{3, 2, 1}},
		"sources":              {[]lane.Entry{entry(1, "", "a", n), entry(2, "", "a", n), entry(3, "", "a", n), entry(4, "", "b", n)}, []uint64{1, 4, 2, 3}},
		"high behind normal":   {[]lane.Entry{entry(1, "", "a", n), entry(2, "x", "a", n), entry(3, "x", "a", lane.High)}, []uint64{2, 3, 1}},
		"an entry twice":       {[]lane.Entry{entry(1, "x", "a", n), entry(1, "x", "a", n), entry(2, "x", "a", n)}, []uint64{1, 2}},
		"high of another lane": {[]lane.Entry{entry(1, "x", "a", n), entry(2, "y", "b", lane.High), entry(3, "x", "a", n)}, []uint64{2, 1, 3}},
	} {
		s := lane.New(100)
		for _, e := range tt.entries {
			s.Add(e)
		}
		if got := drain(s, start); !slices.Equal(got, tt.want) {
			t.Errorf("%s: the order is %d, want %d", name, got, tt.want)
		}
	}
}

// TestWait: an entry that has to wait holds up its lane, and nothing else.
func TestWait(t *testing.T) {
	t.Parallel()
	s := lane.New(100)
	for seq := range uint64(6) {
		s.Add(lane.Entry{Seq: seq + 1, Lane: fmt.Sprint(seq % 2), Priority: lane.Normal})
	}
	e, _ := s.Next(start)
	s.Wait(e.Seq, start.Add(time.Minute))
	if got := drain(s, start); !slices.Equal(got, []uint64{2, 4, 6}) {
		t.Errorf("while it waits %d are carried out", got)
	}
	if wake := s.Wake(); !wake.Equal(start.Add(time.Minute)) {
		t.Errorf("it waits until %s", wake)
	}
	if got := drain(s, start.Add(time.Minute)); !slices.Equal(got, []uint64{1, 3, 5}) || s.Len() != 0 || !s.Wake().IsZero() {
		t.Errorf("then %d are carried out, and %d are left", got, s.Len())
	}
}

// TestSentAgain: a command that is sent again waits for the first one, also without a lane. It keeps nothing else waiting.
func TestSentAgain(t *testing.T) {
	t.Parallel()
	s := lane.New(100)
	for seq, id := range []uint64{7, 7, 8, 0, 0} {
		s.Add(lane.Entry{Seq: uint64(seq) + 1, Same: id, Priority: lane.Normal})
	}
	var running []uint64
	for e, ok := s.Next(start); ok; e, ok = s.Next(start) {
		running = append(running, e.Seq)
	}
	if !slices.Equal(running, []uint64{1, 3, 4, 5}) {
		t.Errorf("side by side %d are carried out", running)
	}
	s.Wait(1, start.Add(time.Second))
	if got := drain(s, start); len(got) != 0 {
		t.Errorf("while the first one waits %d are carried out", got)
	}
	if got := drain(s, start.Add(time.Second)); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("then %d are carried out", got)
	}
	s.Add(lane.Entry{Seq: 6, Same: 7, Priority: lane.Normal})
	if got := drain(s, start); !slices.Equal(got, []uint64{6}) {
		t.Errorf("a later one: %d are carried out", got)
	}
}

// TestHold: a held lane carries out only what was put to its front.
func TestHold(t *testing.T) {
	t.Parallel()
	s := lane.New(100)
	add := func(seq uint64, key string) { s.Add(lane.Entry{Seq: seq, Lane: key, Priority: lane.Normal}) }
	add(1, "x")
	s.Hold("x")
	add(2, "x")
	add(3, "y")
	if got := drain(s, start); !slices.Equal(got, []uint64{3}) {
		t.Errorf("%d are carried out", got)
	}
	s.Front(lane.Entry{Seq: 4, Lane: "x", Priority: lane.Normal})
	if got := drain(s, start); !slices.Equal(got, []uint64{4}) || !s.Held("x") {
		t.Errorf("of the held lane %d are carried out", got)
	}
	add(5, "x")
	add(6, "x")
	if got := lane.Count(s); got != (lane.Counts{Held: 1}) || lane.Led(s, "x") {
		t.Errorf("counted are %+v", got)
	}
	lane.Advance(s, 6)
	if !lane.Led(s, "x") {
		t.Error("what was advanced is not the first one")
	}
	if got := drain(s, start); !slices.Equal(got, []uint64{6}) || lane.Led(s, "x") {
		t.Errorf("after one was advanced %d are carried out", got)
	}
	s.Release("x")
	if got := drain(s, start); !slices.Equal(got, []uint64{1, 2, 5}) || s.Held("x") {
		t.Errorf("then %d are carried out", got)
	}
}

// TestCut: a lane that is larger than the room leaves the room to the others, and goes on where it was cut.
func TestCut(t *testing.T) {
	t.Parallel()
	const most, stuck = 128, 1000
	s := lane.New(most)
	stream := []lane.Entry{}
	for seq := range uint64(stuck) {
		stream = append(stream, lane.Entry{Seq: seq + 1, Lane: "stuck", Priority: lane.Normal})
	}
	for seq := range uint64(100) {
		stream = append(stream, lane.Entry{Seq: stuck + seq + 1, Lane: fmt.Sprint(seq), Priority: lane.Normal})
	}
	carried := []uint64{}
	waits := false
	for _, e := range stream {
		for s.Len() >= most {
			if _, ok := s.MakeRoom(); !ok {
				t.Fatal("there is no room")
			}
		}
		s.Add(e)
		for {
			e, ok := s.Next(start)
			if !ok {
				break
			}
			if e.Lane == "stuck" {
				s.Wait(e.Seq, start.Add(time.Hour))
				waits = true
				continue
			}
			carried = append(carried, e.Seq)
			s.Done(e.Seq)
		}
	}
	if len(carried) != 100 || !waits || lane.CutLanes(s) != 1 {
		t.Fatalf("%d of the others were carried out, %d lanes are cut", len(carried), lane.CutLanes(s))
	}
	carried = drain(s, start.Add(time.Hour))
	for c, ok := s.Short(8); ok; c, ok = s.Short(8) {
		next := c.From
		for n := 0; n < lane.Part(most) && int(next) <= len(stream); next++ {
			if e := stream[next-1]; c.Holds(e) {
				s.Refill(&c, e)
				n++
			}
		}
		s.Refilled(&c, next)
		carried = append(carried, drain(s, start.Add(time.Hour))...)
	}
	for i := range uint64(stuck) {
		if int(i) >= len(carried) || carried[i] != i+1 {
			t.Fatalf("of the stuck lane %d were carried out, and not in order", len(carried))
		}
	}
	if len(carried) != stuck || lane.CutLanes(s) != 0 || s.Len() != 0 {
		t.Errorf("%d of the stuck lane were carried out; %d lanes are cut, %d entries are left", len(carried), lane.CutLanes(s), s.Len())
	}
}

// TestProperties: whatever happens, each lane is carried out in the order of the stream, nothing is lost, nothing comes twice, and
// no sender that has something ready gets less than its share.
func TestProperties(t *testing.T) {
	t.Parallel()
	for round := range 60 {
		random := rand.New(rand.NewPCG(uint64(round), 7))
		s := lane.New(1 << 20)
		now, seq := start, uint64(0)
		running := map[uint64]lane.Entry{}
		last := map[string]uint64{}
		done := map[uint64]bool{}
		for range 300 {
			switch random.IntN(6) {
			case 0, 1:
				seq++
				key := ""
				if random.IntN(4) > 0 {
					key = fmt.Sprint(random.IntN(5))
				}
				s.Add(lane.Entry{Seq: seq, Lane: key, Source: fmt.Sprint(random.IntN(3)), Priority: lane.Priority(random.IntN(3))})
			case 2, 3:
				if e, ok := s.Next(now); ok {
					for _, other := range running {
						if e.Lane != "" && other.Lane == e.Lane {
							t.Fatalf("round %d: two of lane %s at once", round, e.Lane)
						}
					}
					if e.Lane != "" && e.Seq < last[e.Lane] {
						t.Fatalf("round %d: %d of lane %s after %d", round, e.Seq, e.Lane, last[e.Lane])
					}
					running[e.Seq] = e
				}
			case 4:
				for n, e := range running {
					delete(running, n)
					if random.IntN(3) == 0 {
						s.Wait(n, now.Add(time.Duration(random.IntN(10))*time.Second))
						break
					}
					if done[n] {
						t.Fatalf("round %d: %d twice", round, n)
					}
					done[n], last[e.Lane] = true, n
					s.Done(n)
					break
				}
			case 5:
				now = now.Add(time.Second)
			}
			if len(done)+s.Len() != int(seq) || lane.Running(s) != len(running) || len(s.Ranks()) != s.Len()-lane.Running(s) {
				t.Fatalf("round %d: %d are done, %d left, %d running, of %d", round, len(done), s.Len(), lane.Running(s), seq)
			}
		}
		for n := range running {
			s.Done(n)
			done[n] = true
		}
		for _, n := range drain(s, now.Add(time.Hour)) {
			done[n] = true
		}
		if len(done) != int(seq) || s.Len() != 0 {
			t.Fatalf("round %d: %d of %d are done, %d are left", round, len(done), seq, s.Len())
		}
	}
}

// TestFair: of senders that all have something to do, none is ahead of another by more than one.
func TestFair(t *testing.T) {
	t.Parallel()
	s := lane.New(1 << 20)
	for seq := range uint64(10_000) {
		s.Add(lane.Entry{Seq: seq + 1, Source: "a", Priority: lane.Normal})
	}
	for range 500 {
		e, _ := s.Next(start)
		s.Done(e.Seq)
	}
	for seq := range uint64(100) {
		s.Add(lane.Entry{Seq: 20_000 + seq, Source: "b", Priority: lane.Normal})
		s.Add(lane.Entry{Seq: 30_000 + seq, Source: "c", Lane: fmt.Sprint(seq), Priority: lane.Normal})
	}
	ranks := s.Ranks()
	served := map[string]int{}
	for i := range 300 {
		e, _ := s.Next(start)
		if ranks[i].Seq != e.Seq || ranks[i].Before != i {
			t.Errorf("%d is carried out as number %d, the estimate was %d for %d", e.Seq, i, ranks[i].Before, ranks[i].Seq)
		}
		s.Done(e.Seq)
		served[e.Source]++
		if d := max(served["a"], served["b"], served["c"]) - min(served["a"], served["b"], served["c"]); d > 1 {
			t.Fatalf("after %d it is %v", i+1, served)
		}
	}
}

// BenchmarkLanes is the work on one entry among 10,000 lanes of one sender.
func BenchmarkLanes(b *testing.B) {
	s := lane.New(1 << 20)
	seq := uint64(0)
	add := func() {
		seq++
		s.Add(lane.Entry{Seq: seq, Lane: fmt.Sprint(seq % 10_000), Source: "a", Priority: lane.Normal})
	}
	for range 20_000 {
		add()
	}
	for b.Loop() {
		e, _ := s.Next(start)
		s.Done(e.Seq)
		add()
	}
}

// TestRefillAfterCut: what was read again for a cut is not added when the lane was cut once more before it, or when everything comes
// again: it would be carried out before others.
func TestRefillAfterCut(t *testing.T) {
	t.Parallel()
	s := lane.New(8)
	for i := range uint64(8) {
		s.Add(lane.Entry{Seq: i + 1, Lane: "a"})
	}
	if _, ok := s.MakeRoom(); !ok {
		t.Fatal("there is no room")
	}
	c, short := s.Short(8)
	if !short || c.From != 5 {
		t.Fatalf("the cut is at %d, want 5", c.From)
	}
	again, before := c, c
	if !s.Refill(&c, lane.Entry{Seq: 5, Lane: "a"}) || s.Refilled(&c, 6) {
		t.Error("the first entry behind the cut is not added")
	}
	if s.Refill(&before, lane.Entry{Seq: 5, Lane: "a"}) || !s.Refilled(&before, 6) {
		t.Error("an entry is added for a cut that is elsewhere now")
	}
	if lane.New(8).Refill(&again, lane.Entry{Seq: 5, Lane: "a"}) {
		t.Error("an entry is added to a schedule that does not know those before it")
	}
}
