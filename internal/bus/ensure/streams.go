package ensure

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// noteStream keeps what has to be known of a stream of events between two checks.
func (e *Ensurer) noteStream(cloud string, c jetstream.StreamConfig) {
	if c.Name != e.cfg.Prefix.EventStream(cloud) {
		return
	}
	e.conn.SawMessages(cloud, int64(c.MaxMsgSize))
	e.conn.SawWindow(cloud, c.Duplicates)
}

// ensureStreams creates what is missing and warns about what differs, and returns what is wrong with each cloud. Without
// the right to manage it only checks.
func (e *Ensurer) ensureStreams(ctx context.Context) map[string]error {
	var states map[string]cloudState
	if e.cfg.Manage {
		e.room.shareOut(ctx, func() int64 {
			states = e.eachCloud(ctx, e.checkStreams)
			return e.missing(ctx, states)
		})
	} else {
		states = e.eachCloud(ctx, func(ctx context.Context, cloud string) cloudState { return cloudState{err: e.bindStreams(ctx, cloud)} })
	}
	for kind := range topology.Required(e.cfg.Prefix, "") { // kind by kind: no cloud takes the room that another's results need
		for _, cloud := range e.cfg.Clouds {
			l := states[cloud]
			if i := slices.IndexFunc(l.missing, func(s topology.Stream) bool { return s.Name == topology.Required(e.cfg.Prefix, cloud)[kind].Name }); i >= 0 {
				if err := e.CreateStream(ctx, l.missing[i]); err != nil {
					l.useless = append(l.useless, fmt.Errorf("create stream %s: %w", l.missing[i].Name, err))
				}
				states[cloud] = l
			}
		}
	}
	errs := map[string]error{}
	for cloud, l := range states {
		if errs[cloud] = l.err; l.err == nil {
			errs[cloud] = first(l.useless)
		}
	}
	return errs
}

// cloudState is the state of a cloud's streams, as far as they could be checked.
type cloudState struct {
	missing []topology.Stream
	rest    []topology.Kind // of what is missing beside the streams
	useless []error         // there, but no good; the others are used all the same
	err     error           // why they could not be checked
}

// checkStreams finds out whether the streams of a cloud are there and as they should be.
func (e *Ensurer) checkStreams(ctx context.Context, cloud string) cloudState {
	var out cloudState
	for _, want := range e.cfg.Plan().Streams(cloud) {
		if e.conn.IsMoving(want.Name) {
			continue
		}
		have, err := e.conn.JetStream().Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			out.missing = append(out.missing, want)
		case err != nil:
			out.err = fmt.Errorf("look up stream %s: %w", want.Name, topology.WithSetting(err, want.Kind))
			return out
		default:
			e.noteStream(cloud, have.CachedInfo().Config)
			if d := topology.Drift(want.StreamConfig, have.CachedInfo().Config); e.conn.News(want.Name, d) {
				e.log.WarnContext(ctx, "stream differs from the contract; it is left as it is", "stream", want.Name, "drift", d)
			}
			weSend := want.Name != e.cfg.Prefix.CommandStream(cloud)
			err := e.noteUsable(have.CachedInfo(), weSend)
			if err == nil {
				err = missingSubjects(ctx, e.conn.JetStream(), want.StreamConfig, have.CachedInfo(), weSend)
			}
			if err != nil {
				out.useless = append(out.useless, err)
			}
		}
	}
	e.mu.Lock()
	stocked := e.stocked
	e.mu.Unlock()
	if len(out.missing) > 0 || !stocked {
		out.rest = e.missingRest(ctx, cloud)
	}
	if (len(out.missing) > 0 || len(out.rest) > 0) && e.isMissing(ctx, topology.AdvisoryStream(e.cfg.Prefix, cloud)) {
		out.rest = append(out.rest, topology.Advisories) // a check does not create it, so its absence alone says nothing
	}
	if (len(out.missing) > 0 || len(out.rest) > 0) && topology.HasSchedules(e.conn.NATS().ConnectedServerVersion()) &&
		e.isMissing(ctx, topology.DelayedStream(e.cfg.Prefix, cloud)) {
		out.rest = append(out.rest, topology.Delayed) // nor does it create this one
	}
	return out
}

// CreateStream creates a stream with its size, or its share of the room that there is.
func (e *Ensurer) CreateStream(ctx context.Context, want topology.Stream) error {
	made, err := e.WithRoom(ctx, "stream "+want.Name, want.Kind, func(ctx context.Context, bytes int64) error {
		want.MaxBytes = bytes
		_, err := e.conn.JetStream().CreateStream(ctx, want.StreamConfig)
		return withOther(ctx, e.conn.JetStream(), want.StreamConfig, err)
	})
	if made {
		e.log.InfoContext(ctx, "stream created", "stream", want.Name)
	}
	return err
}
