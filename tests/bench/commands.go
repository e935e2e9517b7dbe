package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Rows of the table. The bridge writes each command to the ledger before and after the call. Its creates and its updates of many tasks
// are carried out side by side, its updates of one task one after the other, like those of the floor that has no number.
const (
	floorResultRow   = "floor with result"
	floorEightRow    = "floor with result, 8 at once"
	createsRow       = "bridge, creates"
	createsTracedRow = "bridge, creates, 10 % traced"
	updatesRow       = "bridge, updates"
	updatesOfOneRow  = "bridge, updates of one task"
)

// sideBySide is how many commands the bridge carries out at once by default.
const sideBySide = 8

const (
	createData = `{"title":"Angebot prüfen","targetParentId":"c2a7d3b4-6f5e-4d8c-b9a0-7e6f5d4c3b2a",` +
		`"description":"Lagerhalle, zweiter Bauabschnitt","endDate":"2026-01-31T23:00:00.000Z","taskPriority":50,"plannedEffort":2.5}`
	taskID     = "8b0a4d7e-3f0c-4f7d-9a56-1f6d0b0c9e11"
	updateData = `{"title":"Angebot prüfen","taskId":"` + taskID + `",` +
		`"description":"Lagerhalle, zweiter Bauabschnitt","endDate":"2026-01-31T23:00:00.000Z","taskPriority":50,"plannedEffort":2.5}`
)

// commands measures command to result.
func (b *bench) commands(ctx context.Context) (results, error) {
	bridge := func(traced bool) func(context.Context, string) (*process, error) {
		return func(ctx context.Context, address string) (*process, error) {
			return b.startBridge(ctx, address, traced)
		}
	}
	floor := func(withResult bool, atOnce int) func(context.Context, string) (*process, error) {
		return func(ctx context.Context, _ string) (*process, error) {
			return b.startFloorWorker(ctx, withResult, atOnce)
		}
	}
	return b.runRounds(ctx, "command", []contestant{
		{floorRow, floorPrefix, floor(false, 1)},
		{floorResultRow, floorPrefix, floor(true, 1)},
		{floorEightRow, floorPrefix, floor(true, sideBySide)},
		{peerRow, peerPrefix, func(ctx context.Context, address string) (*process, error) {
			return b.startPeer(ctx, address, "command.yaml")
		}},
		{createsRow, events.DefaultPrefix, bridge(false)},
		{createsTracedRow, events.DefaultPrefix, bridge(true)},
		{updatesRow, events.DefaultPrefix, bridge(false)},
		{updatesOfOneRow, events.DefaultPrefix, bridge(false)},
	}, b.commandRun)
}

// commandRun measures one contestant: first a full queue, then a fixed rate.
func (b *bench) commandRun(ctx context.Context, c contestant) (s sample, err error) {
	if err := b.reset(ctx, c.prefix); err != nil {
		return s, err
	}
	address, err := freeAddress()
	if err != nil {
		return s, err
	}
	calls := b.api.calls.Load()
	p, err := c.start(ctx, address)
	if err != nil {
		return s, err
	}
	defer p.stop()
	warm, steady := b.options.commands/10+1, b.seconds*b.commandRate
	total := warm + b.options.commands + steady
	q, err := b.newQueue(c, p, total)
	if err != nil {
		return s, err
	}
	defer q.close()

	if err := q.fill(ctx, warm); err != nil {
		return s, err
	}
	before, err := p.footprint()
	if err != nil {
		return s, err
	}
	start := time.Now()
	if err := q.fill(ctx, b.options.commands); err != nil {
		return s, err
	}
	took := time.Since(start)
	after, err := p.footprint()
	if err != nil {
		return s, err
	}
	latencies, err := q.offer(ctx, b.commandRate, steady)
	if err != nil {
		return s, err
	}
	end, err := p.footprint()
	if err != nil {
		return s, err
	}
	n := float64(b.options.commands)
	s = sample{
		throughput: n / took.Seconds(), perCPU: n / (after.cpu - before.cpu).Seconds(),
		p50: percentile(latencies, 50), p99: percentile(latencies, 99), peak: end.peak, done: total,
	}
	// Each command was called exactly once and, where there are results, has one.
	if made := int(b.api.calls.Load() - calls); made != total {
		return s, fmt.Errorf("%d commands led to %d calls", total, made)
	}
	if s.stored, err = b.count(ctx, c.prefix.ResultStream(cloud)); err != nil {
		return s, err
	}
	if s.stored -= q.deferred; q.results && s.stored != total { // of a command that waits for more than 5 s there is another result
		return s, fmt.Errorf("%d commands led to %d final results", total, s.stored)
	}
	return s, nil
}

// queue sends commands to a contestant and waits for their outcomes.
type queue struct {
	*bench
	process *process
	stream  string
	subject string
	data    string
	many    bool // whether each command is about a task of its own
	results bool // whether this contestant publishes any
	sent    int
	sub     *nats.Subscription

	mu       sync.Mutex
	arrived  []time.Time // of the final results, by the number of the command
	missing  int
	deferred int // other results
}

func (b *bench) newQueue(c contestant, p *process, total int) (*queue, error) {
	q := &queue{
		bench: b, process: p, stream: c.prefix.CommandStream(cloud), results: c.name != floorRow,
		subject: c.prefix.Command(cloud, "task", "createTask"), data: createData,
		arrived: make([]time.Time, total), missing: total,
	}
	if c.name == updatesRow || c.name == updatesOfOneRow {
		q.subject, q.data = c.prefix.Command(cloud, "task", "updateTask"), updateData
	}
	q.many = c.name == updatesRow
	var err error
	q.sub, err = b.nc.Subscribe(string(c.prefix)+".result.>", q.result)
	return q, err
}

func (q *queue) close() { _ = q.sub.Unsubscribe() }

// result notes when a result came. Core NATS delivers it while the stream stores it, without work for the contestant.
func (q *queue) result(msg *nats.Msg) {
	now := time.Now()
	i, err := strconv.Atoi(strings.TrimPrefix(msg.Header.Get("ce-causationid"), idPrefix))
	q.mu.Lock()
	defer q.mu.Unlock()
	if strings.HasSuffix(msg.Subject, "."+string(events.Deferred)) {
		q.deferred++
		return
	}
	if err == nil && i < len(q.arrived) && q.arrived[i].IsZero() {
		q.arrived[i] = now
		q.missing--
	}
}

// idPrefix stands before the number in a command's id.
const idPrefix = "bench-"

func (q *queue) publish() error {
	data := q.data
	if q.many {
		data = strings.Replace(data, taskID, fmt.Sprintf("%s%012d", taskID[:24], q.sent), 1)
	}
	msg := &nats.Msg{
		Subject: q.subject, Data: []byte(data),
		Header: nats.Header{jetstream.MsgIDHeader: {idPrefix + strconv.Itoa(q.sent)}},
	}
	q.sent++
	_, err := q.js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)) // on a busy machine the server is slower than we are
	return err
}

// fill publishes commands as fast as it can and waits until all are settled.
func (q *queue) fill(ctx context.Context, count int) error {
	for range count {
		if err := q.publish(); err != nil {
			return fmt.Errorf("publish a command: %w", err)
		}
	}
	return q.settled(ctx)
}

// offer publishes commands at a fixed rate and returns how long each took from when it was to be published until its
// result was seen.
func (q *queue) offer(ctx context.Context, rate, count int) ([]time.Duration, error) {
	first := q.sent
	intended := make([]time.Time, count)
	var errs []error
	pace(ctx, rate, count, func(i int, at time.Time) {
		intended[i] = at
		errs = append(errs, q.publish())
	})
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("publish a command: %w", err)
	}
	if err := q.settled(ctx); err != nil || !q.results {
		return nil, err
	}
	var out []time.Duration
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, at := range intended {
		out = append(out, q.arrived[first+i].Sub(at))
	}
	return out, nil
}

// settled waits until the broker has every command and the contestant has settled each, with its result where there are
// any.
func (q *queue) settled(ctx context.Context) error {
	select {
	case <-q.js.PublishAsyncComplete():
	case <-ctx.Done():
		return ctx.Err()
	}
	return q.process.await(ctx, "settle the commands", func(ctx context.Context) error {
		waiting, err := q.count(ctx, q.stream)
		if err != nil {
			return err
		}
		q.mu.Lock()
		unheard := q.sent - (len(q.arrived) - q.missing)
		q.mu.Unlock()
		if waiting > 0 || q.results && unheard > 0 {
			return fmt.Errorf("%d commands are not settled, %d results are missing", waiting, unheard)
		}
		return nil
	})
}
