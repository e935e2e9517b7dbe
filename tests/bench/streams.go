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

// templates are the streams and the consumer as the bridge made them. The other contestants get the same under other
// names, so that a change of the bridge's settings cannot favour anybody.
type templates struct {
	streams  []jetstream.StreamConfig
	consumer jetstream.ConsumerConfig
}

// consumerName is the bridge's name for the consumer of one cloud's commands.
const consumerName = "egress-" + cloud

// learn reads what the bridge has made.
func (b *bench) learn(ctx context.Context) error {
	p := events.Prefix(events.DefaultPrefix)
	for _, name := range []string{p.EventStream(cloud), p.CommandStream(cloud), p.ResultStream(cloud)} {
		s, err := b.js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
		b.templates.streams = append(b.templates.streams, s.CachedInfo().Config)
	}
	return poll(ctx, "the bridge's consumer", 10*time.Millisecond, func(ctx context.Context) error {
		c, err := b.js.Consumer(ctx, p.CommandStream(cloud), consumerName)
		if err == nil {
			b.templates.consumer = c.CachedInfo().Config
		}
		return err
	})
}

// reset deletes a contestant's streams, so that each run begins with empty ones. The bridge creates its own again.
func (b *bench) reset(ctx context.Context, p events.Prefix) error {
	upper := strings.ToUpper(string(p))
	for _, name := range []string{
		p.EventStream(cloud), p.CommandStream(cloud), p.ResultStream(cloud), p.DeadStream(cloud), upper + "_ADVISORIES_" + strings.ToUpper(cloud), "KV_" + upper + "_LEDGER_" + strings.ToUpper(cloud),
		"KV_" + upper + "_RECONCILE",
	} {
		if err := b.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("delete stream %s: %w", name, err)
		}
	}
	if p == events.DefaultPrefix {
		return nil
	}
	for _, template := range b.templates.streams {
		cfg := template
		cfg.Name = strings.ToUpper(string(p)) + strings.TrimPrefix(cfg.Name, strings.ToUpper(events.DefaultPrefix))
		cfg.Subjects = renamed(p, template.Subjects)
		if _, err := b.js.CreateStream(ctx, cfg); err != nil {
			return fmt.Errorf("create stream %s: %w", cfg.Name, err)
		}
	}
	cfg := b.templates.consumer
	cfg.FilterSubjects = renamed(p, cfg.FilterSubjects)
	if _, err := b.js.CreateConsumer(ctx, p.CommandStream(cloud), cfg); err != nil {
		return fmt.Errorf("create consumer %s: %w", cfg.Durable, err)
	}
	return nil
}

func renamed(p events.Prefix, subjects []string) (out []string) {
	for _, subject := range subjects {
		out = append(out, string(p)+strings.TrimPrefix(subject, events.DefaultPrefix))
	}
	return out
}

// count is the number of messages in a stream.
func (b *bench) count(ctx context.Context, stream string) (int, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream, err)
	}
	return int(s.CachedInfo().State.Msgs), nil //nolint:gosec // a run's messages fit
}
