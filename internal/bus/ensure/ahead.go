package ensure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// A durable consumer remembers how far it has read. When a server comes back with an older state of the stream, the stream counts
// from there again, and the consumer waits for sequences that it believes to come: nothing is pending, and nothing is delivered.
// Some servers notice that themselves; here it is looked for in all.

// consumersEvery is how often the consumers are looked at while the connection stays. A new one makes another look.
const consumersEvery = time.Minute

// ahead says whether a consumer has read further than its stream goes. The stream is to be asked after the consumer.
func ahead(c *jetstream.ConsumerInfo, s *jetstream.StreamInfo) bool {
	return max(c.Delivered.Stream, c.AckFloor.Stream) > s.State.LastSeq
}

// aheadText describes it.
func aheadText(c *jetstream.ConsumerInfo, s *jetstream.StreamInfo) string {
	return fmt.Sprintf("its consumer %s is ahead of it: it has read up to %d, and the stream ends at %d, so nothing new is delivered",
		c.Name, max(c.Delivered.Stream, c.AckFloor.Stream), s.State.LastSeq)
}

// consumersDue says whether it is time to look at the consumers.
func (e *Ensurer) consumersDue(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.consumersSeen) < consumersEvery {
		return false
	}
	e.consumersSeen = now
	return true
}

// checkConsumers looks for consumers that are ahead of their streams: all durable ones if the process may manage, else its own.
// A cloud in errs has other trouble.
func (e *Ensurer) checkConsumers(ctx context.Context, errs map[string]error) {
	if !e.consumersDue(time.Now()) {
		return
	}
	for _, cloud := range e.cfg.Clouds {
		if errs[cloud] != nil || !e.conn.HasBegun(cloud) || e.older.IsMovingOf(cloud) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, e.timeout)
		var err error
		if e.cfg.Manage {
			err = e.mendConsumers(ctx, cloud)
		} else if e.cfg.Carries {
			err = e.checkOwn(ctx, cloud)
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			e.log.DebugContext(ctx, "the consumers of a cloud could not be looked at", "cloud", cloud, "error", err)
		}
	}
}

// checkOwn says so if the consumer of commands is ahead of its stream. Only the owner can mend it.
func (e *Ensurer) checkOwn(ctx context.Context, cloud string) error {
	name := e.cfg.Prefix.CommandStream(cloud)
	c, err := e.conn.JetStream().Consumer(ctx, name, topology.EgressConsumer(cloud))
	if err != nil {
		return err
	}
	s, err := e.conn.JetStream().Stream(ctx, name)
	if err != nil {
		return err
	}
	if info := c.CachedInfo(); ahead(info, s.CachedInfo()) {
		text := aheadText(info, s.CachedInfo())
		e.conn.Health().Pulls(cloud, fmt.Errorf("stream %s: %s; delete the consumer, and let a bridge with nats.manage: true create it again", name, text))
		if e.conn.News("ahead "+name, text) {
			e.log.ErrorContext(ctx, "a consumer is ahead of its stream; only a bridge with nats.manage can mend it", "stream", name, "consumer", info.Name, "problem", text)
		}
		e.mu.Lock()
		e.consumersSeen = time.Time{} // until it is mended
		e.mu.Unlock()
		return nil
	}
	if e.conn.WasNews("ahead " + name) {
		e.conn.Health().Pulls(cloud, nil)
	}
	return nil
}

// mendConsumers makes those durable consumers of a cloud's streams anew that are ahead.
func (e *Ensurer) mendConsumers(ctx context.Context, cloud string) error {
	for _, want := range topology.All(e.cfg.Prefix, cloud) {
		s, err := e.conn.JetStream().Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		found, err := aheadOf(ctx, s)
		if err != nil {
			return err
		}
		for _, c := range found {
			if err := e.mendConsumer(ctx, s, c); err != nil {
				e.log.ErrorContext(ctx, "a consumer is ahead of its stream and could not be mended; trying again", "stream", want.Name, "consumer", c.Name, "error", err)
				e.mu.Lock()
				e.consumersSeen = time.Time{}
				e.mu.Unlock()
			}
		}
	}
	return nil
}

// aheadOf returns the durable consumers that are ahead of a stream.
func aheadOf(ctx context.Context, s jetstream.Stream) ([]*jetstream.ConsumerInfo, error) {
	var all, found []*jetstream.ConsumerInfo
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable != "" {
			all = append(all, info)
		}
	}
	if err := list.Err(); err != nil || len(all) == 0 {
		return nil, err
	}
	info, err := s.Info(ctx) // after the consumers, which go on reading
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if ahead(c, info) {
			found = append(found, c)
		}
	}
	return found, nil
}

// mendConsumer recreates a consumer, so that it gets what it has not: of a work queue all that is left, of another stream what
// came since the server was away, or, if nobody knows when that was, everything. What it had before comes again rather than
// what is new not at all.
func (e *Ensurer) mendConsumer(ctx context.Context, s jetstream.Stream, c *jetstream.ConsumerInfo) error {
	cfg, text := c.Config, aheadText(c, s.CachedInfo())
	if cfg.DeliverSubject != "" {
		e.log.ErrorContext(ctx, "a push consumer is ahead of its stream; its owner has to create it again", "stream", c.Stream, "consumer", c.Name, "problem", text)
		return nil
	}
	cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverAllPolicy, 0, nil
	lost, _ := e.conn.Outage()
	switch last := s.CachedInfo().State.LastSeq; {
	case s.CachedInfo().Config.Retention == jetstream.WorkQueuePolicy:
	case c.AckFloor.Stream <= last:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, c.AckFloor.Stream+1
	case !lost.IsZero():
		from := lost.Add(-bus.ClockSkew)
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
	}
	if err := s.DeleteConsumer(ctx, c.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("delete consumer %s: %w", c.Name, err)
	}
	if _, err := s.CreateConsumer(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return fmt.Errorf("create consumer %s: %w", c.Name, err)
	}
	e.log.ErrorContext(ctx, "a consumer was ahead of its stream, as after a restore of an older store; it was created again", "stream", c.Stream, "consumer", c.Name,
		"problem", text, "deliver", cfg.DeliverPolicy.String())
	return nil
}
