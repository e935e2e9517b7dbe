package delayed

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

var (
	// ErrUnsupported says that NATS cannot keep a command until its time has come. The error says what is needed.
	ErrUnsupported = errors.New("commands with notbefore cannot be kept")
	// ErrFull says that too much waits already.
	ErrFull = errors.New("too many delayed commands wait already")
	// ErrOther says that a command with the same identity waits already, or that what was to be replaced is due.
	ErrOther = errors.New("a command with the same identity waits already, or has become due")
)

// stream looks up the stream of a cloud's delayed commands, and makes it if it is missing and the bridge may. The error is
// ErrUnsupported if there is none that the server would publish anything from.
func (s *Store) stream(ctx context.Context, cloud string) (*jetstream.StreamInfo, error) {
	cfg := s.conn.Settings()
	want := cfg.Plan().Delayed(cloud)
	if s.conn.Health().Hidden(want.Name) {
		return nil, fmt.Errorf("%w: the bridge may not look up the stream %s", ErrUnsupported, want.Name)
	}
	if version := s.conn.NATS().ConnectedServerVersion(); !topology.HasSchedules(version) {
		return nil, fmt.Errorf("%w: the NATS server is %.40s, and message schedules need %s or later", ErrUnsupported, version, topology.Schedules.Least())
	}
	have, err := s.lookUp(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !cfg.Manage {
			return nil, fmt.Errorf("%w: the stream %s is missing; a bridge with nats.manage: true makes it", ErrUnsupported, want.Name)
		}
		if err := s.streams.CreateStream(ctx, want); err != nil {
			return nil, fmt.Errorf("create stream %s: %w", want.Name, err)
		}
		have, err = s.lookUp(ctx, want.Name)
	}
	if err != nil {
		if s.conn.Health().Hidden(want.Name) { // the server has said so meanwhile
			return nil, fmt.Errorf("%w: the bridge may not look up the stream %s", ErrUnsupported, want.Name)
		}
		return nil, fmt.Errorf("look up stream %s: %w", want.Name, err)
	}
	if have.Config.AllowMsgSchedules {
		return have, nil
	}
	if cfg.Manage { // the server was too old when the stream was made, or somebody else made it
		if have, err = s.allow(ctx, have.Config); err == nil && have.Config.AllowMsgSchedules {
			return have, nil
		}
		s.reportOnce(ctx, want.Name, "it lacks the option allow_msg_schedules", err)
	}
	return nil, fmt.Errorf("%w: the stream %s lacks the option allow_msg_schedules, which a NATS server of version %s or later has",
		ErrUnsupported, want.Name, topology.Schedules.Least())
}

// allow switches message schedules on. The server takes that option of a stream that drops its oldest messages only.
func (s *Store) allow(ctx context.Context, have jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	have.AllowMsgSchedules, have.AllowRollup, have.DenyPurge, have.Discard = true, true, false, jetstream.DiscardOld
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	changed, err := s.conn.JetStream().UpdateStream(attempt, have)
	if err != nil {
		return nil, err
	}
	return changed.CachedInfo(), nil
}

func (s *Store) lookUp(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	have, err := s.conn.JetStream().Stream(attempt, name)
	if err != nil {
		return nil, err
	}
	return have.CachedInfo(), nil
}

// reportOnce logs what is wrong with a stream, unless that was logged.
func (s *Store) reportOnce(ctx context.Context, stream, what string, err error) {
	if err != nil {
		what += ": " + err.Error()
	}
	if ctx.Err() == nil && s.conn.News(stream, what) {
		s.log.WarnContext(ctx, "stream of delayed commands is not as it should be; commands with notbefore are rejected", "stream", stream, "problem", what)
	}
}

// mostFilled is the share of the stream's size that may be used. The server drops the oldest messages of a full stream, so it must never
// become full: not by commands that other bridges store at the same time, and not by those that become due.
const mostFilled = 0.75

// hasRoom says whether a stream takes another message of a size.
func hasRoom(have *jetstream.StreamInfo, size int) error {
	c, s := have.Config, have.State
	switch {
	case c.MaxBytes > 0 && float64(s.Bytes)+float64(size) > mostFilled*float64(c.MaxBytes):
		return fmt.Errorf("%w: they take %d of the %d bytes of the stream %s", ErrFull, s.Bytes, c.MaxBytes, c.Name)
	case c.MaxMsgs > 0 && float64(s.Msgs) >= mostFilled*float64(c.MaxMsgs):
		return fmt.Errorf("%w: the stream %s has %d messages, and its limit is %d", ErrFull, c.Name, s.Msgs, c.MaxMsgs)
	}
	return nil
}
