package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
)

// Conn is what the journal of events needs of the connection to NATS.
type Conn interface {
	AwaitUp(ctx context.Context) error
	JetStream() jetstream.JetStream
	Settings() bus.Config
}

// Journal is what the streams have of the events of clouds.
type Journal struct{ conn Conn }

// Of returns the journal of a connection.
func Of(conn Conn) *Journal { return &Journal{conn} }

// Events reads what the stream of events has of a cloud, from what it took at a time up to its present end. The messages
// come in the order of the stream; one that is no event is handed over with its Broken.
//
// The stream may no longer have all that it took: whole is the time since when it certainly has, zero if it has everything
// from its beginning.
func (j *Journal) Events(ctx context.Context, cloud string, since time.Time, each func(Message)) (whole time.Time, _ error) {
	if err := j.conn.AwaitUp(ctx); err != nil {
		return whole, fmt.Errorf("read the events of %s: %w", cloud, err)
	}
	prefix := j.conn.Settings().Prefix
	for m, err := range New(j.conn.JetStream()).Read(ctx, prefix.EventStream(cloud), Since(since), Present(), string(prefix)+".event."+cloud+".>") {
		if err != nil {
			return whole, fmt.Errorf("read the events of %s: %w", cloud, err)
		}
		each(m)
	}
	// Only now: meanwhile the stream may have dropped what was still to be read.
	after, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	stream, err := j.conn.JetStream().Stream(after, prefix.EventStream(cloud))
	if err != nil {
		return whole, fmt.Errorf("read the events of %s: %w", cloud, err)
	}
	return wholeSince(stream.CachedInfo().State), nil
}

// wholeSince is the time since when a stream has all that it took; zero if it has everything.
func wholeSince(state jetstream.StreamState) time.Time {
	switch {
	case state.FirstSeq > 1 && state.Msgs > 0:
		return state.FirstTime
	case state.FirstSeq > 1: // emptied: of what came before its last message nothing is left
		return state.LastTime
	}
	return time.Time{}
}
