package timeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// memory has streams in memory. The filters that it knows have wildcards for single tokens.
type memory map[string][]history.Message

func (m memory) Span(_ context.Context, stream string) (history.Span, error) {
	all, ok := m[stream]
	if !ok {
		return history.Span{}, fmt.Errorf("%s: %w", stream, jetstream.ErrStreamNotFound)
	}
	if len(all) == 0 {
		return history.Span{}, nil
	}
	last := all[len(all)-1]
	return history.Span{Messages: uint64(len(all)), First: 1, Last: last.Sequence, Since: all[0].Time(), Until: last.Time()}, nil
}

func (m memory) Since(_ context.Context, stream string, at time.Time) (uint64, error) {
	for _, msg := range m[stream] {
		if !msg.Time().Before(at) {
			return msg.Sequence, nil
		}
	}
	return 0, nil
}

func (m memory) Latest(_ context.Context, stream, subject string) (got history.Message, there bool, _ error) {
	if _, ok := m[stream]; !ok {
		return got, false, nats.ErrNoResponders
	}
	for _, msg := range m[stream] {
		if msg.Subject == subject {
			got, there = msg, true
		}
	}
	return got, there, nil
}

func (m memory) Forward(_ context.Context, q history.Query, each func(history.Message) bool) (done history.Read, _ error) {
	if _, ok := m[q.Stream]; !ok {
		return done, nats.ErrNoResponders
	}
	for _, msg := range m[q.Stream] {
		if msg.Sequence < q.First || q.Last > 0 && msg.Sequence > q.Last || !matches(q.Subject, msg.Subject) {
			continue
		}
		if q.Most > 0 && done.Messages == q.Most {
			done.Cut = true
			break
		}
		if done.Messages++; (q.Keep == nil || q.Keep(msg)) && !each(msg) {
			break
		}
	}
	return done, nil
}

func (m memory) Backward(ctx context.Context, q history.Query, each func(history.Message) bool) (history.Read, error) {
	done, err := m.Forward(ctx, q, each)
	done.Lowest = q.First
	return done, err
}

func matches(filter, subject string) bool {
	if filter == "" {
		return true
	}
	a, b := strings.Split(filter, "."), strings.Split(subject, ".")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != events.Any && a[i] != b[i] {
			return false
		}
	}
	return true
}

var start = time.Date(2026, 9, 1, 9, 30, 0, 0, time.UTC)

// put adds a message, so many milliseconds after the start.
func (m memory) put(stream, subject string, ms int, data string, header ...string) {
	h := map[string][]string{}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = []string{header[i+1]}
	}
	m[stream] = append(m[stream], history.NewMessage(subject, uint64(len(m[stream])+1), h, []byte(data), start.Add(time.Duration(ms)*time.Millisecond)))
}

const (
	trace1, trace2 = "11111111111111111111111111111111", "22222222222222222222222222222222"
	parent1        = "00-" + trace1 + "-b7ad6b7169203331-01"
	parent2        = "00-" + trace2 + "-b7ad6b7169203331-01"
)

// chain has what a cloud's streams have of an event, the command that it led to, and what followed.
func chain(t *testing.T) memory {
	t.Helper()
	m := memory{}
	event := func(ms int, id, entity, action, parent string) {
		m.put("FACTRO_EVENTS_ACME", "factro.event.acme.task."+entity+"."+action, ms, "{}", "ce-specversion", "1.0", "ce-id", id, "ce-source", "urn:x", "ce-type", "com.factro."+action,
			"ce-subject", "task/"+entity, "ce-recordedtime", start.Add(time.Duration(ms-1)*time.Millisecond).Format(time.RFC3339Nano), "ce-factroaction", action, "ce-factroorigin", "webhook", "traceparent", parent)
	}
	result := func(ms int, outcome, data, id string) {
		m.put("FACTRO_RESULTS_ACME", "factro.result.acme.task.createTask."+outcome, ms, data, "ce-specversion", "1.0", "ce-id", id, "ce-source", "urn:b",
			"ce-type", "com.factro.result."+outcome, "ce-subject", "task/t-2", "ce-causationid", "c-1", "ce-causationsource", "urn:s", "ce-causationposition", "FACTRO_COMMANDS_ACME:9", "traceparent", parent1)
	}
	event(0, "e-0", "t-1", "TaskCreated", "00-33333333333333333333333333333333-b7ad6b7169203331-01")
	event(10, "e-1", "t-1", "TaskStateChanged", parent1)
	result(20, "deferred", `{"operation":"createTask","outcome":"deferred","startedAt":"2026-09-01T09:30:00.015Z","retryAt":"2026-09-01T09:31:00Z","error":{"code":"paused","message":"by anna"}}`, "c-1.deferred.1")
	result(80, "applied", `{"operation":"createTask","outcome":"applied","status":200,"attempts":2,"startedAt":"2026-09-01T09:30:00.050Z","finishedAt":"2026-09-01T09:30:00.079Z"}`, "c-1.applied")
	event(90, "e-2", "t-2", "TaskCreated", parent2)
	m.put("FACTRO_CHANGES_ACME", "factro.change.acme.task.t-2.created", 100, `{"changed":["title"]}`, "ce-specversion", "1.0", "ce-id", "x", "ce-source", "urn:x",
		"ce-type", "com.factro.change.task.created", "ce-subject", "t-2", "ce-causationid", "e-2", "ce-factrocause", "c-1", "ce-factrosender", "urn:s", "ce-factrocertainty", "exact")
	m.put("FACTRO_DEAD_ACME", "factro.dead.command.acme.task.createTask", 85, `{}`, "ce-specversion", "1.0", "ce-id", "other", "ce-source", "urn:s", "ce-type", "com.factro.command.createTask")
	m["FACTRO_COMMANDS_ACME"] = nil
	record, err := json.Marshal(ledger.Record{
		StartedAt: start, Attempts: 2, Result: json.RawMessage(`{"operation":"createTask","resource":{"type":"task","id":"t-2"}}`),
		Log: []ledger.Attempt{{At: start.Add(60 * time.Millisecond), Status: 500, Error: "factro answered 500: no", Millis: 7}, {At: start.Add(70 * time.Millisecond), Status: 200}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.put(ledger.Stream("factro", "acme"), ledger.Subject("factro", "acme", "urn:s\xffc-1"), 79, string(record))
	return m
}

// chainSteps are all steps of the chain, but for the first event.
const (
	twice        = Attempted + " " + Attempted
	commandSteps = "waits begun " + twice + " result"
	chainSteps   = "received stored " + commandSteps + " received stored change"
)

func find(m memory, q Question, run func([]func())) *Timeline {
	f := New(m, events.DefaultPrefix, func() time.Time { return start.Add(time.Hour) })
	f.run = run
	return f.Find(context.Background(), "acme", q)
}

func stepsOf(t *Timeline) string {
	var all []string
	for _, e := range t.Entries {
		all = append(all, e.Step)
	}
	return strings.Join(all, " ")
}

// TestChain: what belongs together is found from each id, and nothing else.
func TestChain(t *testing.T) {
	t.Parallel()
	m := chain(t)
	for _, tt := range []struct {
		q           Question
		kind, steps string
	}{
		{Question{ID: "e-1"}, KindEvent, chainSteps},
		{Question{ID: "c-1"}, KindCommand, chainSteps},
		{Question{ID: "c-1", Source: "urn:s"}, KindCommand, chainSteps},
		{Question{ID: trace1}, KindTrace, chainSteps},
		{Question{ID: "e-2"}, KindEvent, commandSteps + " received stored change"},
		{Question{ID: "t-2"}, KindEntity, commandSteps + " received stored change"},
		{Question{ID: "t-1"}, KindEntity, "received stored received stored"},
		{Question{ID: "e-0"}, KindEvent, "received stored"},
		{Question{ID: "c-1", Source: "urn:other"}, "", ""},
		{Question{ID: "e-1", Kind: KindCommand}, "", ""},
		{Question{ID: "nowhere"}, "", ""},
	} {
		got := find(m, tt.q, nil)
		if stepsOf(got) != tt.steps || strings.Join(got.Kinds, " ") != tt.kind || got.Cut() || len(got.Errors()) > 0 {
			t.Errorf("%+v: %v\n%s\nwant\n%s\n%v", tt.q, got.Kinds, stepsOf(got), tt.steps, got.Errors())
		}
	}
}

// TestOrder: in whatever order the streams are read, the timeline is the same.
func TestOrder(t *testing.T) {
	t.Parallel()
	m := chain(t)
	for _, id := range []string{"e-1", "c-1", trace1, "e-2", "t-2", "nowhere"} {
		var want string
		for seed := range uint64(50) {
			random := rand.New(rand.NewPCG(seed, 1))
			got := find(m, Question{ID: id}, func(tasks []func()) {
				random.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
				for _, task := range tasks {
					task()
				}
			})
			for i := range got.Looked {
				got.Looked[i].Millis = 0
			}
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if want = cmp.Or(want, string(text)); string(text) != want {
				t.Fatalf("%s, with the seed %d:\n%s\nwant\n%s", id, seed, text, want)
			}
		}
	}
}

// hidden has a stream that may not be read.
type hidden struct {
	memory
	stream string
}

var errHidden = errors.New("permissions violation")

func (h hidden) Span(ctx context.Context, stream string) (history.Span, error) {
	if stream == h.stream {
		return history.Span{}, errHidden
	}
	return h.memory.Span(ctx, stream)
}

// TestHidden: what may not be read is named, and the rest is found.
func TestHidden(t *testing.T) {
	t.Parallel()
	f := New(hidden{chain(t), "FACTRO_CHANGES_ACME"}, events.DefaultPrefix, func() time.Time { return start.Add(time.Hour) })
	got := f.Find(t.Context(), "acme", Question{ID: "c-1"})
	if errs := got.Errors(); len(errs) == 0 || !errors.Is(errs[0], errHidden) || stepsOf(got) != "received stored "+commandSteps {
		t.Errorf("%s, %v", stepsOf(got), errs)
	}
}

// TestBack: a stream is read back to a time, and an id with a time in it needs none.
func TestBack(t *testing.T) {
	t.Parallel()
	m := chain(t)
	late := New(m, events.DefaultPrefix, func() time.Time { return start.Add(72 * time.Hour) })
	got := late.Find(t.Context(), "acme", Question{ID: "e-1"})
	i := slices.IndexFunc(got.Looked, func(l Look) bool { return l.Stream == "FACTRO_EVENTS_ACME" && l.Subject == "" })
	if len(got.Entries) > 0 || got.Looked[i].Whole || !got.Looked[i].Since.Equal(start.Add(48*time.Hour)) {
		t.Errorf("%s, %+v", stepsOf(got), got.Looked)
	}
	if got := late.Find(t.Context(), "acme", Question{ID: "e-1", Since: start}); stepsOf(got) != chainSteps {
		t.Errorf("%s, %+v", stepsOf(got), got.Looked)
	}
}
