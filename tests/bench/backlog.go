package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// backlog is the memory of the bridge while so many commands wait.
type backlog struct {
	commands, pulled int
	footprint
}

// settleFor is how long the bridge must have pulled nothing until its memory is read.
const settleFor = 10 * time.Second

// backlogs measures the memory of the bridge while commands wait, each about a task of its own, and factro gives no answer.
func (b *bench) backlogs(ctx context.Context) ([]backlog, error) {
	sizes := []int{1_000, 20_000, 100_000}
	if b.quick {
		sizes = []int{1_000}
	}
	b.api.hangs.Store(true)
	defer b.api.hangs.Store(false)
	var all []backlog
	for _, n := range sizes {
		one, err := b.backlog(ctx, n)
		if err != nil {
			return all, fmt.Errorf("backlog of %d: %w", n, err)
		}
		progress("backlog of %6d commands, %d pulled: resident %.1f MiB, own %.1f MiB, peak %.1f MiB, %s of CPU", n, one.pulled, one.rss, one.anon, one.peak, one.cpu)
		all = append(all, one)
	}
	return all, nil
}

func (b *bench) backlog(ctx context.Context, n int) (one backlog, err error) {
	if err := b.reset(ctx, events.DefaultPrefix); err != nil {
		return one, err
	}
	address, err := freeAddress()
	if err != nil {
		return one, err
	}
	first, err := b.startBridge(ctx, address, false) // makes the streams
	if err != nil {
		return one, err
	}
	first.stop()
	q, err := b.newQueue(contestant{name: updatesRow, prefix: events.DefaultPrefix}, nil, n)
	if err != nil {
		return one, err
	}
	defer q.close()
	for range n {
		if err := q.publish(); err != nil {
			return one, fmt.Errorf("publish a command: %w", err)
		}
	}
	select {
	case <-b.js.PublishAsyncComplete():
	case <-ctx.Done():
		return one, ctx.Err()
	}
	if waiting, err := b.count(ctx, q.stream); err != nil || waiting != n {
		return one, fmt.Errorf("%d of %d commands are in the stream: %w", waiting, n, err)
	}
	p, err := b.startBridge(ctx, address, false)
	if err != nil {
		return one, err
	}
	defer p.stop()
	one.commands = n
	for since := time.Now(); time.Since(since) < settleFor; {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return one, ctx.Err()
		}
		pulled, err := b.pulled(ctx)
		if err != nil {
			return one, err
		}
		if pulled != one.pulled {
			one.pulled, since = pulled, time.Now()
		}
	}
	one.footprint, err = p.footprint()
	return one, err
}

// pulled is how many commands the bridge has pulled and not settled.
func (b *bench) pulled(ctx context.Context) (int, error) {
	c, err := b.js.Consumer(ctx, events.Prefix(events.DefaultPrefix).CommandStream(cloud), consumerName)
	if err != nil {
		return 0, fmt.Errorf("the bridge's consumer: %w", err)
	}
	return c.CachedInfo().NumAckPending, nil
}

// reportBacklogs prints a row for each backlog.
func reportBacklogs(w io.Writer, all []backlog) {
	fmt.Fprint(w, "\nMemory while commands wait and factro gives no answer, ", settleFor, " after the last was pulled.\n\n",
		"| commands | pulled | resident | of that its own | peak | CPU |\n|---:|---:|---:|---:|---:|---:|\n")
	for _, one := range all {
		fmt.Fprintf(w, "| %d | %d | %.1f MiB | %.1f MiB | %.1f MiB | %.1f s |\n", one.commands, one.pulled, one.rss, one.anon, one.peak, one.cpu.Seconds())
	}
}
