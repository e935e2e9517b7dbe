package ensure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/takeover"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// A durable consumer remembers how far it has read. When a server comes back with an older state of the stream, the stream counts
// from there again, and the consumer waits for sequences that it believes to come: nothing is pending, and nothing is delivered.
// Some servers notice that themselves; here it is looked for in all.

// consumers finds consumers that are ahead of their streams, and recreates them.
type consumers struct {
	conn    *bus.Conn
	cfg     bus.Config
	log     *slog.Logger
	older   *takeover.Takeover
	timeout time.Duration // of one check of a cloud

	mu   sync.Mutex
	next map[string]time.Time // by cloud, when they are checked next; a cloud that is not there is due
}

const (
	// consumersEvery is how often the consumers are checked while the connection stays. A new one makes another check.
	consumersEvery = time.Minute
	// consumersAgain is when a check that failed is repeated: after an outage that is likely, and so is a consumer that is ahead.
	consumersAgain = 10 * time.Second
)

// ahead says whether a consumer has read further than its stream goes. The stream is to be asked after the consumer.
func ahead(c *jetstream.ConsumerInfo, s *jetstream.StreamInfo) bool {
	return max(c.Delivered.Stream, c.AckFloor.Stream) > s.State.LastSeq
}

// aheadText describes it.
func aheadText(c *jetstream.ConsumerInfo, s *jetstream.StreamInfo) string {
	return fmt.Sprintf("its consumer %s is ahead of it: it has read up to %d, and the stream ends at %d, so nothing new is delivered",
		c.Name, max(c.Delivered.Stream, c.AckFloor.Stream), s.State.LastSeq)
}

// reset has the next check include the consumers, whenever the last one was.
func (k *consumers) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.next)
}

// resetOf is reset for one cloud.
func (k *consumers) resetOf(cloud string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.next, cloud)
}

// failed notes that the consumers of a cloud could not be checked.
func (k *consumers) failed(cloud string, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next[cloud] = now.Add(consumersAgain)
}

// due says whether it is time to check the consumers of a cloud.
func (k *consumers) due(cloud string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Before(k.next[cloud]) {
		return false
	}
	k.next[cloud] = now.Add(consumersEvery)
	return true
}

// check looks for consumers that are ahead of their streams: all durable ones if the process may manage, else its own.
// A cloud in errs has other trouble, and is due once that is over.
func (k *consumers) check(ctx context.Context, errs map[string]error) {
	for _, cloud := range k.cfg.Clouds {
		if errs[cloud] != nil || !k.conn.HasBegun(cloud) || k.older.IsMovingOf(cloud) || !k.due(cloud, time.Now()) {
			continue
		}
		if err := k.checkOf(ctx, cloud); err != nil {
			k.failed(cloud, time.Now())
			if ctx.Err() == nil {
				k.log.DebugContext(ctx, "the consumers of a cloud could not be checked; trying again", "cloud", cloud, "error", err)
			}
		}
	}
}

func (k *consumers) checkOf(ctx context.Context, cloud string) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	switch {
	case k.cfg.Manage:
		return k.recreateAll(ctx, cloud)
	case k.cfg.Carries:
		return k.checkOwn(ctx, cloud)
	}
	return nil
}

// checkOwn says so if the consumer of commands is ahead of its stream. Only the owner can repair it.
func (k *consumers) checkOwn(ctx context.Context, cloud string) error {
	name := k.cfg.Prefix.CommandStream(cloud)
	c, err := k.conn.JetStream().Consumer(ctx, name, topology.EgressConsumer(cloud))
	if err != nil {
		return err
	}
	s, err := k.conn.JetStream().Stream(ctx, name)
	if err != nil {
		return err
	}
	if info := c.CachedInfo(); ahead(info, s.CachedInfo()) {
		text := aheadText(info, s.CachedInfo())
		k.conn.Health().Pulls(cloud, fmt.Errorf("stream %s: %s; delete the consumer, and let a bridge with nats.manage: true create it again", name, text))
		if k.conn.News("ahead "+name, text) {
			k.log.ErrorContext(ctx, "a consumer is ahead of its stream; only a bridge with nats.manage can repair it", "stream", name, "consumer", info.Name, "problem", text)
		}
		k.resetOf(cloud) // until it is repaired
		return nil
	}
	if k.conn.WasNews("ahead " + name) {
		k.conn.Health().Pulls(cloud, nil)
	}
	return nil
}

// recreateAll recreates those durable consumers of a cloud's streams that are ahead.
func (k *consumers) recreateAll(ctx context.Context, cloud string) error {
	for _, want := range topology.All(k.cfg.Prefix, cloud) {
		s, err := k.conn.JetStream().Stream(ctx, want.Name)
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
			if err := k.recreate(ctx, s, c); err != nil {
				k.log.ErrorContext(ctx, "a consumer is ahead of its stream and could not be repaired; trying again", "stream", want.Name, "consumer", c.Name, "error", err)
				k.resetOf(cloud)
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

// recreate recreates a consumer, so that it gets what it has not: of a work queue all that is left, of another stream what
// came since the server was away, or, if nobody knows when that was, everything. What it had before comes again rather than
// what is new not at all.
func (k *consumers) recreate(ctx context.Context, s jetstream.Stream, c *jetstream.ConsumerInfo) error {
	cfg, text := c.Config, aheadText(c, s.CachedInfo())
	if cfg.DeliverSubject != "" {
		k.log.ErrorContext(ctx, "a push consumer is ahead of its stream; its owner has to create it again", "stream", c.Stream, "consumer", c.Name, "problem", text)
		return nil
	}
	cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverAllPolicy, 0, nil
	lost, _ := k.conn.Outage()
	switch last := s.CachedInfo().State.LastSeq; {
	case s.CachedInfo().Config.Retention == jetstream.WorkQueuePolicy:
	case c.AckFloor.Stream <= last:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, c.AckFloor.Stream+1
	case !lost.IsZero():
		from := lost.Add(-topology.ClockSkew)
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
	}
	if err := s.DeleteConsumer(ctx, c.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("delete consumer %s: %w", c.Name, err)
	}
	if _, err := s.CreateConsumer(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return fmt.Errorf("create consumer %s: %w", c.Name, err)
	}
	k.log.ErrorContext(ctx, "a consumer was ahead of its stream, as after a restore of an older store; it was created again", "stream", c.Stream, "consumer", c.Name,
		"problem", text, "deliver", cfg.DeliverPolicy.String())
	return nil
}
