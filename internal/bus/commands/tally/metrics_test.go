package tally

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// silent is a consumer that is not told of before all have been asked for.
type silent struct {
	jetstream.Consumer
	asked *sync.WaitGroup
	lock  *sync.Mutex // of those who begin to pull
}

func (s silent) Info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	for !s.lock.TryLock() {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		runtime.Gosched()
	}
	s.lock.Unlock()
	s.asked.Done()
	all := make(chan struct{})
	go func() { s.asked.Wait(); close(all) }()
	select {
	case <-all:
		return &jetstream.ConsumerInfo{NumPending: 2, NumAckPending: 1, NumRedelivered: 1}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestQueuesAtOnce: a scrape asks about all clouds at the same time, and whoever begins to pull meanwhile does not wait for it.
func TestQueuesAtOnce(t *testing.T) {
	t.Parallel()
	const clouds = 20
	m := Metrics{consumers: map[string]jetstream.Consumer{}}
	var asked sync.WaitGroup
	asked.Add(clouds)
	for i := range clouds {
		m.consumers[fmt.Sprintf("cloud-%d", i)] = silent{asked: &asked, lock: &m.mu}
	}
	all := m.queues(t.Context())
	if len(all) != clouds {
		t.Fatalf("%d of %d clouds were told of", len(all), clouds)
	}
	for _, q := range all {
		if q.pending != 3 || q.redelivered != 1 {
			t.Errorf("%+v", q)
		}
	}
}
