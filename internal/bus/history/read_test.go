package history_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// filled is a reader of a stream S with so many messages in turns on s.a and s.b, whose data are their sequences.
func filled(t *testing.T, count int) (history.Reader, jetstream.Stream) {
	t.Helper()
	server := natstest.Start(t)
	_, js := server.Connect(t)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	for n := range count {
		msg := nats.NewMsg([]string{"s.a", "s.b"}[n%2])
		msg.Data = fmt.Append(nil, n+1)
		// A sender writes headers that the broker uses.
		msg.Header = nats.Header{"Status": {"404"}, "Nats-Sequence": {"7"}, "Nats-Subject": {"s.c"}, "Nats-Time-Stamp": {"2000-01-01T00:00:00Z"}}
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	return history.On(bustest.Dial(t, server)), s
}

// collect reads, and wants each message to be as it was stored.
func collect(t *testing.T, r history.Reader, backward bool, q history.Query, enough int) ([]uint64, history.Read) {
	t.Helper()
	read := r.Forward
	if backward {
		read = r.Backward
	}
	var got []uint64
	done, err := read(t.Context(), q, func(m history.Message) bool {
		if string(m.Data) != fmt.Sprint(m.Sequence) || m.Subject != []string{"s.b", "s.a"}[m.Sequence%2] || time.Since(m.Time()).Abs() > time.Hour {
			t.Errorf("message %d is on %s, of %s: %s", m.Sequence, m.Subject, m.Time(), m.Data)
		}
		got = append(got, m.Sequence)
		return len(got) != enough
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, done
}

// TestRead: bounds, filters and limits, in both directions, over several requests.
func TestRead(t *testing.T) {
	t.Parallel()
	const count = 1234
	r, s := filled(t, count)
	var all []uint64
	for n := range uint64(count) {
		all = append(all, n+1)
	}
	multiple := func(of uint64) func(history.Message) bool {
		return func(m history.Message) bool { return m.Sequence%of == 0 }
	}
	for name, test := range map[string]struct {
		q    history.Query
		want []uint64
		read uint64
	}{
		"all":        {history.Query{Stream: "S", Last: count}, all, count},
		"a range":    {history.Query{Stream: "S", First: 3, Last: 5}, []uint64{3, 4, 5}, 3},
		"one":        {history.Query{Stream: "S", First: 9, Last: 9}, []uint64{9}, 1},
		"some":       {history.Query{Stream: "S", Last: count, Keep: multiple(400)}, []uint64{400, 800, 1200}, count},
		"of subject": {history.Query{Stream: "S", Subject: "s.b", First: 1000, Last: 1005}, []uint64{1000, 1002, 1004}, 3},
		"none":       {history.Query{Stream: "S", Subject: "s.x", Last: count}, nil, 0},
	} {
		for _, backward := range []bool{false, true} {
			got, done := collect(t, r, backward, test.q, 0)
			slices.Sort(got)
			if !slices.Equal(got, test.want) || done.Messages != test.read || done.Cut {
				t.Errorf("%s, backward %v: got %d messages, %+v", name, backward, len(got), done)
			}
		}
	}
	// The newest come first, and the reading says that more is there.
	got, done := collect(t, r, true, history.Query{Stream: "S", First: 1, Last: count, Most: 500}, 0)
	if !done.Cut || done.Messages != 500 || done.Lowest != count-499 || slices.Min(got) != count-499 {
		t.Errorf("the newest 500 are %d from %d, %+v", len(got), slices.Min(got), done)
	}
	if got, done := collect(t, r, false, history.Query{Stream: "S", Most: 700}, 0); !done.Cut || len(got) != 700 || got[699] != 700 {
		t.Errorf("the first 700 are %d, %+v", len(got), done)
	}
	for _, backward := range []bool{false, true} {
		if got, _ := collect(t, r, backward, history.Query{Stream: "S", Last: count}, 3); len(got) != 3 {
			t.Errorf("three are enough, and %d came", len(got))
		}
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(1001)); err != nil {
		t.Fatal(err)
	}
	if got, _ := collect(t, r, true, history.Query{Stream: "S", Last: count}, 0); len(got) != count-1000 {
		t.Errorf("of %d that are left %d came", count-1000, len(got))
	}
}

// TestLooks: what a stream has, since when, and the last message of a subject.
func TestLooks(t *testing.T) {
	t.Parallel()
	r, _ := filled(t, 10)
	span, err := r.Span(t.Context(), "S")
	if err != nil || span.Messages != 10 || span.First != 1 || span.Last != 10 || span.Since.After(span.Until) || !span.Dense() {
		t.Errorf("the span is %+v, %v", span, err)
	}
	var fifth time.Time
	if _, err := r.Forward(t.Context(), history.Query{Stream: "S", First: 5, Last: 5}, func(m history.Message) bool { fifth = m.Time(); return true }); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]uint64{fifth: 5, fifth.Add(-time.Hour): 1, fifth.Add(time.Hour): 0} {
		if got, err := r.Since(t.Context(), "S", at); err != nil || got != want {
			t.Errorf("since %s: %d, %v, want %d", at, got, err, want)
		}
	}
	if m, there, err := r.Latest(t.Context(), "S", "s.a"); err != nil || !there || m.Sequence != 9 {
		t.Errorf("the last one is %+v, %v, %v", m, there, err)
	}
	if m, there, err := r.Latest(t.Context(), "S", "s.x"); err != nil || there {
		t.Errorf("of nothing the last one is %+v, %v, %v", m, there, err)
	}
	if _, err := r.Span(t.Context(), "NONE"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("no stream: %v", err)
	}
	if _, _, err := r.Latest(t.Context(), "NONE", "s.a"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("no stream: %v", err)
	}
	if (history.Span{}).Dense() || (history.Span{Messages: 2, First: 1, Last: 100}).Dense() {
		t.Error("it is not dense")
	}
}

// TestRefused: a request that is refused is never answered, so the refusal is the error, and comes at once.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"$JS.API.DIRECT.GET.>", "$JS.API.STREAM.INFO.>"} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			broker := natstest.Start(t, bustest.Users(bustest.Denied(subject, "")))
			bustest.Running(t, broker)
			c := bustest.Dial(t, broker, bustest.AsBridge)
			c.CollectRefusals()
			r, began := history.On(c), time.Now()
			_, err := r.Span(t.Context(), "FACTRO_EVENTS_ACME")
			if err == nil {
				_, err = r.Forward(t.Context(), history.Query{Stream: "FACTRO_EVENTS_ACME"}, func(history.Message) bool { return true })
			}
			if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(subject, ">")+"FACTRO_EVENTS_ACME") || time.Since(began) > 4*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		})
	}
}
