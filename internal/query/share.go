package query

import (
	"context"
	"net/http"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// flights are the reads of each key, so that equal ones are made once: at most one that has departed to factro, and one
// that has not, which waits for the other to land and for its share of the budget. Only that one takes on more who ask:
// what has departed may answer with a state that they know to be over. The zero value has no flights.
type flights struct {
	mu                 sync.Mutex
	boarding, departed map[string]*flight
}

// flight is one read, and those who wait for it.
type flight struct {
	waiting int
	cancel  context.CancelFunc
	landed  chan struct{} // closed when answer is there
	answer  queries.Answer
}

// read makes one read. It calls depart just before it asks factro.
type read func(ctx context.Context, depart func()) queries.Answer

// join waits for a read of a key that has not departed yet, and plans one if there is none; shared tells that there was. A
// read goes on as long as anybody waits for it: whose ctx ends leaves the others alone, and the last one to leave ends it.
func (fs *flights) join(ctx context.Context, key string, do read) (a queries.Answer, shared bool) {
	fs.mu.Lock()
	f, shared := fs.boarding[key]
	if !shared {
		f = fs.plan(ctx, key, do)
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
	return stopped, shared
}

var stopped = queries.Answer{Status: http.StatusServiceUnavailable, Error: &events.Error{
	Code: events.CodeUnavailable, Message: "the bridge stopped before the answer was there",
}}

// plan opens a flight for boarding. It begins when the one before it has landed.
func (fs *flights) plan(ctx context.Context, key string, do read) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f, before := &flight{cancel: cancel, landed: make(chan struct{}), answer: stopped}, fs.departed[key]
	if fs.boarding == nil {
		fs.boarding, fs.departed = map[string]*flight{}, map[string]*flight{}
	}
	fs.boarding[key] = f
	go func() {
		defer close(f.landed)
		defer cancel()
		if before != nil {
			select {
			case <-before.landed:
			case <-ctx.Done():
				return // nobody waits for it any more
			}
		}
		f.answer = do(ctx, func() { fs.depart(key, f) })
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.end(key, f)
	}()
	return f
}

// depart ends the boarding of a flight. One that everybody has left is in neither map, and stays so.
func (fs *flights) depart(key string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.boarding[key] == f {
		delete(fs.boarding, key)
		fs.departed[key] = f
	}
}

// end forgets a flight, if it is still one of its key.
func (fs *flights) end(key string, f *flight) {
	for _, of := range []map[string]*flight{fs.boarding, fs.departed} {
		if of[key] == f {
			delete(of, key)
		}
	}
}
