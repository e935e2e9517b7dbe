package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Rows of the tables.
const (
	floorRow    = "floor"
	peerRow     = "Bento"
	untracedRow = "bridge, not traced"
	tracedRow   = "bridge, 10 % traced"
)

// webhooks measures webhook to stored event.
func (b *bench) webhooks(ctx context.Context) (results, error) {
	bridge := func(traced bool) func(context.Context, string) (*process, error) {
		return func(ctx context.Context, address string) (*process, error) {
			return b.startBridge(ctx, address, traced)
		}
	}
	return b.runRounds(ctx, "webhook", []contestant{
		{floorRow, floorPrefix, b.startFloor},
		{peerRow, peerPrefix, func(ctx context.Context, address string) (*process, error) {
			return b.startPeer(ctx, address, "webhook.yaml")
		}},
		{untracedRow, events.DefaultPrefix, bridge(false)},
		{tracedRow, events.DefaultPrefix, bridge(true)},
	}, b.webhookRun)
}

// webhookRun measures one contestant: first as fast as it can, then at a fixed rate.
func (b *bench) webhookRun(ctx context.Context, c contestant) (s sample, err error) {
	if err := b.reset(ctx, c.prefix); err != nil {
		return s, err
	}
	address, err := freeAddress()
	if err != nil {
		return s, err
	}
	exports := b.sink.exports.Load()
	p, err := c.start(ctx, address)
	if err != nil {
		return s, err
	}
	defer p.stop()
	l, err := dial(ctx, address, b.connections)
	if err != nil {
		return s, err
	}
	defer l.close()

	if _, err := l.saturate(ctx, time.Second); err != nil { // warms up
		return s, err
	}
	before, err := p.footprint()
	if err != nil {
		return s, err
	}
	start := time.Now()
	done, err := l.saturate(ctx, b.window())
	if err != nil {
		return s, err
	}
	took := time.Since(start)
	after, err := p.footprint()
	if err != nil {
		return s, err
	}
	latencies, err := l.offer(ctx, b.rate, b.window())
	if err != nil {
		return s, err
	}
	end, err := p.footprint()
	if err != nil {
		return s, err
	}
	s = sample{
		throughput: float64(done) / took.Seconds(), perCPU: float64(done) / (after.cpu - before.cpu).Seconds(),
		p50: percentile(latencies, 50), p99: percentile(latencies, 99), peak: end.peak, done: l.answered,
	}
	if s.stored, err = b.checkStored(ctx, c.prefix.EventStream(cloud), l.answered); err != nil {
		return s, err
	}
	p.stop() // exports what is left
	if c.name == tracedRow && b.sink.exports.Load() == exports {
		return s, errors.New("no spans were exported")
	}
	return s, nil
}

// checkStored is what makes the figures comparable: all that was answered is in the stream, byte for byte, under an id.
func (b *bench) checkStored(ctx context.Context, name string, answered int) (stored int, err error) {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", name, err)
	}
	state := stream.CachedInfo().State
	stored = int(state.Msgs) //nolint:gosec // a run's messages fit
	if stored < answered {
		return stored, fmt.Errorf("%d webhooks were answered with 2xx, but only %d are stored", answered, stored)
	}
	msg, err := stream.GetMsg(ctx, state.LastSeq)
	if err != nil {
		return stored, fmt.Errorf("stream %s: last message: %w", name, err)
	}
	head, tail, _ := strings.Cut(webhook, noID)
	data := string(msg.Data)
	if len(data) != len(webhook) || !strings.HasPrefix(data, head) || !strings.HasSuffix(data, tail) {
		return stored, fmt.Errorf("stream %s: a webhook was not stored as it came: %s", name, data)
	}
	if msg.Header.Get(jetstream.MsgIDHeader) == "" {
		return stored, fmt.Errorf("stream %s: a webhook was stored without a message id", name)
	}
	return stored, nil
}
