package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// filled is a stream with ten messages, 1 to 10, in turns on s.a and s.b.
func filled(t *testing.T, server *natstest.Server) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	_, js := server.Connect(t)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		if _, err := js.Publish(t.Context(), []string{"s.b", "s.a"}[(n+1)%2], fmt.Append(nil, n+1)); err != nil {
			t.Fatal(err)
		}
	}
	return js, s
}

// TestRead: each beginning with each end, filtered, and with what is still to come.
func TestRead(t *testing.T) {
	t.Parallel()
	js, s := filled(t, natstest.Start(t))
	third, err := s.GetMsg(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		from    journal.From
		to      journal.To
		filters []string
		want    []uint64
	}{
		"all":                 {journal.Beginning(), journal.Present(), nil, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"filtered":            {journal.Beginning(), journal.Present(), []string{"s.a"}, []uint64{1, 3, 5, 7, 9}},
		"two filters":         {journal.At(9), journal.Present(), []string{"s.a", "s.b"}, []uint64{9, 10}},
		"from a sequence":     {journal.At(8), journal.Present(), nil, []uint64{8, 9, 10}},
		"through a sequence":  {journal.At(2), journal.Through(4), nil, []uint64{2, 3, 4}},
		"through one between": {journal.Beginning(), journal.Through(4), []string{"s.a"}, []uint64{1, 3}},
		"through a later one": {journal.At(10), journal.Through(20), nil, []uint64{10}},
		"from a time":         {journal.Since(third.Time), journal.Through(4), nil, []uint64{3, 4}},
		"from tomorrow":       {journal.Since(time.Now().Add(24 * time.Hour)), journal.Present(), nil, nil},
		"from a later one":    {journal.At(11), journal.Present(), nil, nil},
		"nothing matches":     {journal.Beginning(), journal.Present(), []string{"s.c"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []uint64
			for m, err := range journal.New(js).InBatches(2).Read(t.Context(), "S", test.from, test.to, test.filters...) {
				if err != nil {
					t.Fatal(err)
				}
				if string(m.Data) != fmt.Sprint(m.Sequence) || m.Time.IsZero() {
					t.Errorf("message %d is %+v", m.Sequence, m)
				}
				if test.filters == nil && m.Pending != int64(10-m.Sequence) {
					t.Errorf("after message %d, %d are left", m.Sequence, m.Pending)
				}
				got = append(got, m.Sequence)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestReadEnds: a reading ends when its reader has enough, when its context ends, and when the rest is deleted.
func TestReadEnds(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	js, s := filled(t, server)
	for m, err := range journal.New(js).Read(t.Context(), "S", journal.Beginning(), journal.Present()) {
		if err != nil || m.Sequence != 1 {
			t.Errorf("message %d, %v", m.Sequence, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for m, err := range journal.New(js).Read(ctx, "S", journal.At(10), journal.Endless()) {
		if m.Sequence == 10 && err == nil {
			cancel()
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("message %d, %v", m.Sequence, err)
		}
	}
	if ctx.Err() == nil {
		t.Error("an endless reading ended")
	}
	var last uint64
	for m, err := range journal.New(js).InBatches(1).Read(t.Context(), "S", journal.Beginning(), journal.Present()) {
		if err != nil {
			t.Fatal(err)
		}
		if last = m.Sequence; last == 1 {
			if err := s.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if last == 10 {
		t.Error("what was deleted came")
	}
}

// TestReadOverRestart: a reading goes on where it was, after the broker has been away.
func TestReadOverRestart(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	js, _ := filled(t, server)
	var got []uint64
	for m, err := range journal.New(js).InBatches(1).Read(t.Context(), "S", journal.Beginning(), journal.Present()) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, m.Sequence); m.Sequence == 5 {
			server.Stop()
			server.Start()
		}
	}
	if want := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// TestReadLeavesLittle: the broker soon forgets the consumer of a reading that has ended, since a stream may have only so many at once.
func TestReadLeavesLittle(t *testing.T) {
	t.Parallel()
	js, stream := filled(t, natstest.Start(t))
	for _, err := range journal.New(js).Read(t.Context(), "S", journal.Beginning(), journal.Present()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	left := stream.ListConsumers(t.Context())
	for c := range left.Info() {
		if c.Config.InactiveThreshold == 0 || c.Config.InactiveThreshold > time.Minute {
			t.Errorf("a consumer is kept for %s", c.Config.InactiveThreshold)
		}
	}
	if err := left.Err(); err != nil {
		t.Error(err)
	}
}

// TestReadNothing: a stream that is not there is an error, whose text names it.
func TestReadNothing(t *testing.T) {
	t.Parallel()
	_, js := natstest.Start(t).Connect(t)
	for _, from := range []journal.From{journal.Beginning(), journal.Next()} {
		n := 0
		for _, err := range journal.New(js).Read(t.Context(), "NONE", from, journal.Present()) {
			if n++; !errors.Is(err, jetstream.ErrStreamNotFound) || !strings.Contains(err.Error(), "NONE") {
				t.Errorf("got %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d came", n)
		}
	}
}
