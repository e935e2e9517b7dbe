package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Pauses are those in the bucket.
type Pauses struct{ bucket *bucket.Bucket }

// Of returns the pauses of the bridges with the prefix of a connection. It asks nobody.
func Of(conn bucket.Conn, log *slog.Logger) *Pauses {
	return &Pauses{bucket.Of(conn, topology.ControlBucket(conn.Settings().Prefix), log)}
}

// ErrNoBucket says that nothing can be paused, since no bridge has made the bucket.
var ErrNoBucket = errors.New("the bucket of pauses does not exist; a bridge of this version with nats.manage: true makes it")

// attempts bounds how often a write is tried that others were faster with.
const attempts = 10

// Pause pauses a place, also if it is paused already. It returns the pause that it replaces, if there was one.
func (p *Pauses) Pause(ctx context.Context, at control.Place, pause control.Pause) (before *control.Pause, err error) {
	value, err := json.Marshal(pause)
	if err != nil {
		return nil, err
	}
	for range attempts {
		var revision uint64
		if before, revision, err = p.look(ctx, at); err != nil {
			return nil, err
		}
		if before == nil {
			_, err = p.bucket.Create(ctx, at.Key(), value)
		} else {
			_, err = p.bucket.Update(ctx, at.Key(), value, revision)
		}
		if !bucket.Lost(err) {
			break
		}
	}
	return before, withBucket(err)
}

// Resume ends the pause of a place and returns it, or nil if there was none. by says who does so, when and why.
func (p *Pauses) Resume(ctx context.Context, at control.Place, by control.Pause) (before *control.Pause, err error) {
	value, err := json.Marshal(by)
	if err != nil {
		return nil, err
	}
	for range attempts {
		var revision uint64
		if before, revision, err = p.look(ctx, at); err != nil || before == nil {
			return nil, err
		}
		if err = p.bucket.Remove(ctx, at.Key(), value, revision); !bucket.Lost(err) {
			break
		}
	}
	return before, withBucket(err)
}

// look returns the pause of a place, nil if there is none.
func (p *Pauses) look(ctx context.Context, at control.Place) (*control.Pause, uint64, error) {
	e, err := p.bucket.Get(ctx, at.Key())
	if bucket.Missing(err) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, withBucket(err)
	}
	pause := read(e.Value)
	return &pause, e.Revision, nil
}

// Read returns all pauses.
func (p *Pauses) Read(ctx context.Context) (map[control.Place]control.Pause, error) {
	s := newSnapshot()
	if err := s.follow(ctx, p.bucket); err != nil {
		return nil, withBucket(err)
	}
	return s.pauses(), nil
}

// read reads the value of an entry. Whatever an entry has, its place is paused.
func read(value []byte) (pause control.Pause) {
	if json.Unmarshal(value, &pause) != nil {
		return control.Pause{Why: "the entry of the pause cannot be read"}
	}
	return pause
}

func withBucket(err error) error {
	if err != nil && natserr.NoStream(err) {
		return fmt.Errorf("%w: %w", ErrNoBucket, err)
	}
	return err
}
