package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Hold is a lane that a dead letter stops.
type Hold struct {
	// Lane is the key of the lane.
	Lane string `json:"lane"`
	// Position is the place of the command, and Subject that of its dead letter.
	Position string `json:"position"`
	Subject  string `json:"subject"`
	// Letter is the sequence of the dead letter, 0 as long as it is not known, since it is not in its stream yet.
	Letter uint64 `json:"letter,omitempty"`
	// From is where in that stream it is looked for.
	From uint64 `json:"from,omitempty"`

	key      string
	revision uint64
}

// Holds are the holds of one cloud.
type Holds struct {
	conn   bucket.Conn
	kv     *bucket.Bucket
	cloud  string
	stream string // of dead letters
}

// Of returns the holds of a cloud. It asks nobody.
func Of(conn bucket.Conn, cloud string, log *slog.Logger) *Holds {
	p := conn.Settings().Prefix
	return &Holds{conn: conn, kv: bucket.Of(conn, topology.ReconcileBucket(p), log), cloud: cloud, stream: p.DeadStream(cloud)}
}

// prefix begins the keys of all clouds' holds.
const prefix = "hold."

// Put remembers a hold. To remember it twice is harmless.
func (h *Holds) Put(ctx context.Context, one Hold) (Hold, error) {
	_, number, _ := strings.Cut(one.Position, ":")
	one.key = prefix + h.cloud + "." + number
	if one.Letter == 0 {
		one.Letter = h.find(ctx, &one)
	}
	text, err := json.Marshal(one)
	if err != nil {
		return one, err
	}
	if one.revision, err = h.kv.Create(ctx, one.key, text); errors.Is(err, jetstream.ErrKeyExists) {
		have, err := h.kv.Get(ctx, one.key)
		if err != nil {
			return one, fmt.Errorf("hold %s: %w", one.key, err)
		}
		one.revision, err = h.kv.Update(ctx, one.key, text, have.Revision)
		return one, err
	}
	if err != nil {
		return one, fmt.Errorf("hold %s: %w", one.key, err)
	}
	return one, nil
}

// All returns the holds of the cloud.
func (h *Holds) All(ctx context.Context) (all []Hold, _ error) {
	for next := uint64(1); ; {
		subject := "$KV." + h.kv.Name + "." + prefix + h.cloud + ".*"
		m, err := stored.On(h.conn).Get(ctx, "KV_"+h.kv.Name, next, subject)
		if natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("holds of %s: %w", h.cloud, err)
		}
		next = m.Sequence + 1
		if len(m.Data) == 0 { // it was released
			continue
		}
		one := Hold{key: m.Subject[strings.LastIndex(m.Subject, "."+prefix)+1:], revision: m.Sequence}
		if err := json.Unmarshal(m.Data, &one); err != nil {
			return nil, fmt.Errorf("hold %s: %w", one.key, err)
		}
		all = append(all, one)
	}
}

// Ended says whether the dead letter of a hold is not there any more. One that could not be stored yet is not gone. The first time that
// it is seen is remembered, for the next bridge.
func (h *Holds) Ended(ctx context.Context, one *Hold) (bool, error) {
	if one.Letter == 0 {
		if one.Letter = h.find(ctx, one); one.Letter == 0 {
			return false, nil
		}
		text, err := json.Marshal(one)
		if err != nil {
			return false, err
		}
		revision, err := h.kv.Update(ctx, one.key, text, one.revision)
		switch {
		case errors.Is(err, jetstream.ErrKeyRevisionMismatch): // another bridge has remembered it
		case err != nil:
			one.Letter = 0 // it is found again
			return false, fmt.Errorf("hold %s: %w", one.key, err)
		default:
			one.revision = revision
		}
		return false, nil
	}
	_, err := stored.On(h.conn).Get(ctx, h.stream, one.Letter, "")
	if natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("dead letter %d of %s: %w", one.Letter, h.stream, err)
	}
	return false, nil
}

// Release forgets a hold.
func (h *Holds) Release(ctx context.Context, one Hold) error {
	if err := h.kv.Purge(ctx, one.key, one.revision); err != nil && !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return fmt.Errorf("release hold %s: %w", one.key, err)
	}
	return nil
}

// nearby is how far back the search for the dead letter of a hold begins: others may have been stored since.
const nearby = 100

// find looks for the dead letter of a hold; 0 if it is not there yet. The next search goes on where this one ended.
func (h *Holds) find(ctx context.Context, one *Hold) uint64 {
	if one.From == 0 {
		m, err := stored.On(h.conn).Last(ctx, h.stream, one.Subject)
		switch {
		case natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound):
			one.From = 1
		case err != nil:
			return 0
		default:
			one.From = max(m.Sequence, nearby) - nearby + 1
		}
	}
	for {
		m, err := stored.On(h.conn).Get(ctx, h.stream, one.From, one.Subject)
		if err != nil {
			return 0
		}
		if deadletter.Position(delivery.Header(m.Header)) == one.Position {
			return m.Sequence
		}
		one.From = m.Sequence + 1
	}
}
