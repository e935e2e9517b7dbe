package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// books hold what is in the streams. They are read on, so that asking again costs only what is new.
type books struct {
	w        *world
	next     map[string]uint64 // stream -> first sequence that was not read
	events   map[hook][]uint64 // where each webhook is in the stream
	results  map[string][]events.Outcome
	deferred map[string]int // how many deferred results each command had
	tried    map[string]int // how often each command was called, by its result
	objects  map[string]int // how many commands made each object, by their results
	codes    map[string]int // of final results that are not applied
	ended    []time.Time    // of the final results
}

func newBooks(w *world) *books {
	return &books{
		w: w, next: map[string]uint64{}, events: map[hook][]uint64{}, results: map[string][]events.Outcome{}, codes: map[string]int{},
		deferred: map[string]int{}, tried: map[string]int{}, objects: map[string]int{},
	}
}

const prefix = events.Prefix(events.DefaultPrefix)

// read takes in what is new.
func (b *books) read(ctx context.Context) error {
	for _, name := range b.w.set.clouds {
		if err := b.each(ctx, prefix.EventStream(name), b.event); err != nil {
			return err
		}
		if err := b.each(ctx, prefix.ResultStream(name), b.result); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) event(msg jetstream.Msg, at *jetstream.MsgMetadata) error {
	var body struct {
		Context struct {
			EntityID string
			Counter  int
		}
	}
	if err := json.Unmarshal(msg.Data(), &body); err != nil {
		return fmt.Errorf("event %d: %w", at.Sequence.Stream, err)
	}
	h := hook{body.Context.EntityID, body.Context.Counter}
	b.events[h] = append(b.events[h], at.Sequence.Stream)
	return nil
}

func (b *books) result(msg jetstream.Msg, at *jetstream.MsgMetadata) error {
	var r events.Result
	if err := json.Unmarshal(msg.Data(), &r); err != nil {
		return fmt.Errorf("result %d: %w", at.Sequence.Stream, err)
	}
	id := msg.Headers().Get("ce-" + attr.CausationID)
	if !r.Outcome.Final() {
		b.deferred[id]++
		return nil
	}
	if b.tried[id] = r.Attempts; r.Outcome == events.Applied && r.Resource != nil && b.w.commands.creates(id) {
		b.objects[r.Resource.ID]++
	}
	b.results[id] = append(b.results[id], r.Outcome)
	b.ended = append(b.ended, at.Timestamp)
	if r.Error != nil {
		b.codes[r.Error.Code]++
	}
	return nil
}

// each reads on in a stream, up to its end.
func (b *books) each(ctx context.Context, name string, take func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	stream, err := b.w.js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	last, first := stream.CachedInfo().State.LastSeq, max(b.next[name], 1)
	if first > last {
		return nil
	}
	c, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first,
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for first <= last {
		batch, err := c.Fetch(int(min(last-first+1, 1000)), jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for msg := range batch.Messages() {
			at, err := msg.Metadata()
			if err == nil {
				err = take(msg, at)
			}
			if err != nil {
				return err
			}
			first = at.Sequence.Stream + 1
			b.next[name] = first
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// tasks counts the tasks at factro by title.
func (w *world) tasks() (map[string]int, error) {
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://"+w.core.aimed()+"/_sim/objects/task", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask the simulator: %w", err)
	}
	resp, err := admins.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the simulator: %w", err)
	}
	defer resp.Body.Close()
	var all []struct{ Title string }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("ask the simulator: %w", err)
	}
	count := map[string]int{}
	for _, t := range all {
		count[t.Title]++
	}
	return count, nil
}

// settle waits until all that was begun has come to its end: every webhook that was answered with 202 is in the stream,
// every command has a final result, and no spool and no queue holds anything. It ends at the row's bound; then the
// account says what is missing.
func (w *world) settle() {
	w.t.Helper()
	w.hooks.done()
	w.commands.done()
	missing := "nothing yet"
	err := await(w.ctx, "all is quiet", func() bool {
		missing = w.unsettled()
		return missing == ""
	})
	if err != nil {
		w.t.Errorf("not settled: %s (%v)", missing, err)
	}
}

func (w *world) unsettled() string {
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	if err := w.books.read(ctx); err != nil {
		return err.Error()
	}
	for h := range w.hooks.acked {
		if len(w.books.events[h]) == 0 {
			return fmt.Sprintf("webhook %d of %s was answered with 202 and is not in the stream", h.n, h.entity)
		}
	}
	for id := range w.commands.sent {
		if len(w.books.results[id]) == 0 {
			return "command " + id + " has no result"
		}
	}
	for _, name := range w.set.clouds {
		stream, err := w.js.Stream(ctx, prefix.CommandStream(name))
		if err != nil {
			return err.Error()
		}
		if n := stream.CachedInfo().State.Msgs; n > 0 {
			return fmt.Sprintf("%d commands are in the queue", n)
		}
	}
	for _, n := range w.bridges {
		for _, name := range []string{"factro_bridge_spool_messages", "factro_bridge_unaccounted"} {
			if sum, _ := n.metric(name); sum != 0 {
				return fmt.Sprintf("%s of bridge %d is %v", name, n.n, sum)
			}
		}
	}
	return ""
}

// account makes the row and fails it for what must not be.
func (w *world) account(name string, runs int) row {
	w.t.Helper()
	r := row{fault: name, runs: runs, webhooks: w.hooks.sent, acked: len(w.hooks.acked), commands: len(w.commands.sent)}
	lost := 0
	for h := range w.hooks.acked {
		if len(w.books.events[h]) == 0 {
			lost++
		}
	}
	order := map[string][]hook{}
	for h, at := range w.books.events {
		if h.n == 0 {
			continue // the simulator's own
		}
		r.stored++
		order[h.entity] = append(order[h.entity], h)
		allowed := 1
		if !w.hooks.withIDs { // then another attempt is another event, for nothing tells that it is not
			allowed += w.hooks.missed[h]
		}
		r.twice += max(0, len(at)-allowed)
		r.resent += min(len(at), allowed) - 1
	}
	for _, hooks := range order {
		slices.SortFunc(hooks, func(a, b hook) int { return a.n - b.n })
		for i, h := range hooks[1:] {
			if w.books.events[h][0] < w.books.events[hooks[i]][0] {
				r.reordered++
			}
		}
	}
	tasks, err := w.tasks()
	must(w.t, err)
	results, wanted, shared := 0, map[string]int{}, 0
	for id, title := range w.commands.sent {
		outcomes := w.books.results[id]
		results += max(0, len(outcomes)-1)
		if len(outcomes) > 0 && outcomes[0] == events.Applied {
			r.applied++
		}
		if title == "" {
			continue
		}
		r.creates++
		wanted[title]++
	}
	missing := 0
	for title, n := range wanted {
		r.tasks += tasks[title]
		r.doubled += max(0, tasks[title]-n)
		missing += max(0, n-tasks[title])
	}
	for _, n := range w.books.objects {
		shared += n - 1
	}
	r.webhookRecovery, r.commandRecovery = w.recovery()
	if len(w.hooks.statuses) > 0 {
		w.t.Logf("answers to webhooks by status: %v, ids in the body: %t", w.hooks.statuses, w.hooks.withIDs)
	}
	disordered := r.reordered
	if len(w.bridges) > 1 && w.set.spool {
		disordered = 0 // what waits in the spool of one bridge may be overtaken by what comes to another one: the promise is for each
	}
	for what, n := range map[string]int{
		"webhooks answered with 202 are not in the stream": lost, "events are there twice": r.twice,
		"events are out of order": disordered, "tasks are there twice": r.doubled, "tasks are missing": missing,
		"creates have the task of another one":                          shared,
		"commands have more than one final result":                      results,
		"commands were not applied (" + fmt.Sprint(w.books.codes) + ")": r.commands - r.applied,
	} {
		if n != 0 {
			w.t.Errorf("%d %s", n, what)
		}
	}
	for _, n := range w.bridges {
		if sum, there := n.metric("factro_bridge_unaccounted"); sum != 0 || !there {
			w.t.Errorf("bridge %d: factro_bridge_unaccounted is %v, and exported: %t", n.n, sum, there)
		}
	}
	r.failed = w.t.Failed()
	return r
}

// recovery is the longest time from the end of a disturbance to the first webhook that was answered with 202, and to the
// first final result. A disturbance that was followed by the next one before that is not counted.
func (w *world) recovery() (webhooks, commands time.Duration) {
	longest := func(done []time.Time) (d time.Duration) {
		slices.SortFunc(done, time.Time.Compare)
		for i, h := range w.heals {
			at, _ := slices.BinarySearchFunc(done, h.over, time.Time.Compare)
			if at < len(done) && (i+1 == len(w.heals) || done[at].Before(w.heals[i+1].hit)) {
				d = max(d, done[at].Sub(h.over))
			}
		}
		return d
	}
	return longest(w.hooks.acks), longest(w.books.ended)
}

// aimed is where new connections go.
func (p *proxy) aimed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimPrefix(p.target, "http://")
}
