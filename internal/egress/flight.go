package egress

import (
	"context"
	"net/http"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// flights are the reads that are under way, so that equal ones are made once. The zero value has none.
type flights struct {
	mu     sync.Mutex
	flying map[string]*flight
}

// flight is one read, and those who wait for it.
type flight struct {
	waiting int
	cancel  context.CancelFunc
	landed  chan struct{} // closed when answer is there
	answer  bus.Answer
}

// join waits for the read of a key, which it begins if none is under way; shared tells that one was. A read goes on as
// long as anybody waits for it: whose ctx ends leaves the others alone, and the last one to leave ends it.
func (fs *flights) join(ctx context.Context, key string, read func(context.Context) bus.Answer) (a bus.Answer, shared bool) {
	fs.mu.Lock()
	f, shared := fs.flying[key]
	if !shared {
		f = fs.begin(ctx, key, read)
	}
	f.waiting++
	fs.mu.Unlock()

	select {
	case <-f.landed:
		return f.answer, shared
	case <-ctx.Done():
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		fs.end(key, f) // who comes now needs one that goes on
	}
	return bus.Answer{Status: http.StatusServiceUnavailable, Error: &events.Error{
		Code: events.CodeUnavailable, Message: "the bridge stopped before the answer was there",
	}}, shared
}

func (fs *flights) begin(ctx context.Context, key string, read func(context.Context) bus.Answer) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, landed: make(chan struct{})}
	if fs.flying == nil {
		fs.flying = map[string]*flight{}
	}
	fs.flying[key] = f
	go func() {
		defer cancel()
		f.answer = read(ctx)
		fs.mu.Lock()
		fs.end(key, f)
		fs.mu.Unlock()
		close(f.landed)
	}()
	return f
}

// end forgets a flight, if it is still the one of its key.
func (fs *flights) end(key string, f *flight) {
	if fs.flying[key] == f {
		delete(fs.flying, key)
	}
}
