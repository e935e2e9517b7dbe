package await

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Wait is how somebody waits for results.
type Wait struct {
	// Copies are what came to the inbox of the command's sender.
	Copies <-chan *nats.Msg
	// Patience is how long the copies are relied on. After it the stream is read as well. Of a duplicate it is read at once.
	Patience time.Duration
	// Notices are called while Wait waits for a result, one at a time like judge, until one of them says that the waiting is over.
	Notices <-chan func() (over bool)
}

// Each calls judge with each candidate until it says that the waiting is over; then the error is nil. Else the error is that of
// ctx or [nats.ErrConnectionClosed].
func (r *Results) Each(ctx context.Context, w Wait, judge func(Candidate) (over bool)) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	inStream := make(chan Candidate)
	begin := make(chan struct{}, 1)
	go func() {
		select {
		case <-begin:
			r.Read(reading, inStream)
		case <-reading.Done():
		}
	}()
	if r.Duplicate {
		begin <- struct{}{}
	}
	nc := r.JS.Conn()
	closed := nc.StatusChanged(nats.CLOSED)
	defer nc.RemoveStatusListener(closed)
	if nc.IsClosed() { // no other notice of that follows
		return nats.ErrConnectionClosed
	}
	patience := time.After(w.Patience)
	for {
		over := false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return nats.ErrConnectionClosed
		case <-patience:
			select {
			case begin <- struct{}{}:
			default: // it has begun
			}
		case msg := <-w.Copies:
			if e, err := binding.FromMsg(msg.Header, msg.Data); err == nil { // else it is no result: anybody may write to an inbox
				over = judge(Candidate{Header: msg.Header, Event: e})
			}
		case c := <-inStream:
			over = judge(c)
		case notice := <-w.Notices:
			over = notice()
		}
		if over {
			return nil
		}
	}
}
