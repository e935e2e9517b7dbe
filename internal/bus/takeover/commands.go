package takeover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// The queue of commands is moved one by one, through the consumer by which bridges of the older version read it: so what
// one of them is processing is not moved as well, and what was moved none of them gets. Until all are moved, the cloud's stream
// takes them on subjects of its own and changes those to the real ones; so they come before all that is sent later.

// intake are the subjects on which a cloud's queue is filled.
func intake(p events.Prefix, cloud string) string { return string(p) + ".move." + cloud + ".>" }

// takeOverCommands moves the queues of all clouds.
func (t *Takeover) takeOverCommands(ctx context.Context) (more bool, _ error) {
	looking, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	old, err := t.old(looking, topology.OldName(t.cfg.Prefix, "COMMANDS"))
	if old == nil || err != nil {
		return false, err
	}
	var filled []topology.Stream
	ready := true
	for _, cloud := range t.cfg.Clouds {
		m := &mover{t: t, cloud: cloud, old: old, to: topology.Of(topology.Commands, t.cfg.Prefix, cloud)}
		filling, err := m.begin(looking)
		if err != nil {
			return true, err
		}
		left, err := m.move(ctx)
		if err != nil {
			return true, err
		}
		more = more || left > 0
		if filling {
			t.tellMoving(ctx, m.to.Name, left)
			ready = ready && left <= t.Nearly
			filled = append(filled, m.to)
		}
	}
	switch {
	case len(filled) == 0:
		return more, nil
	case !ready:
		return true, nil
	}
	closing, cancel := context.WithTimeout(ctx, 2*t.timeout)
	defer cancel()
	if err := t.giveUpSubjects(closing, old, filled); err != nil {
		return true, err
	}
	for _, cloud := range t.cfg.Clouds {
		m := &mover{t: t, cloud: cloud, old: old, to: topology.Of(topology.Commands, t.cfg.Prefix, cloud)}
		left, err := m.complete(ctx)
		if err != nil {
			return true, err
		}
		more = more || left > 0 // an older bridge is processing one, which comes later
	}
	return more, nil
}

// mover moves the queue of one cloud.
type mover struct {
	t       *Takeover
	cloud   string
	old     jetstream.Stream
	to      topology.Stream
	filling bool
}

// begin makes the stream, and says whether it is being filled. Later it takes what is still moved as its senders sent it.
func (m *mover) begin(ctx context.Context) (filling bool, _ error) {
	have, err := m.t.conn.JetStream().Stream(ctx, m.to.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		cfg := m.t.filling(m.to)
		p := m.t.cfg.Prefix
		cfg.Subjects = []string{intake(p, m.cloud)}
		cfg.SubjectTransform = &jetstream.SubjectTransformConfig{Source: intake(p, m.cloud), Destination: string(p) + ".command." + m.cloud + ".>"}
		cfg.MaxMsgs = -1
		if _, err := m.t.conn.JetStream().CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return false, fmt.Errorf("create stream %s: %w", m.to.Name, err)
		}
		m.t.log.InfoContext(ctx, "commands are moved from the queue of an older version", "stream", m.to.Name)
		m.filling = true
	case err != nil:
		return false, fmt.Errorf("look up stream %s: %w", m.to.Name, err)
	default:
		m.filling = slices.Contains(have.CachedInfo().Config.Subjects, intake(m.t.cfg.Prefix, m.cloud))
	}
	m.t.setMoving(m.to.Name, m.filling)
	return m.filling, nil
}

// move moves what is there, for a bounded time, and returns how much is left.
func (m *mover) move(ctx context.Context) (left uint64, _ error) {
	end := time.Now().Add(moveFor)
	consumer, err := m.old.Consumer(ctx, "egress-"+m.cloud)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, fmt.Errorf("consumer egress-%s: %w", m.cloud, err)
	}
	for err == nil && time.Now().Before(end) {
		batch, err := consumer.FetchNoWait(1)
		if err != nil {
			return 0, fmt.Errorf("pull from egress-%s: %w", m.cloud, err)
		}
		got := false
		for msg := range batch.Messages() {
			got = true
			if err := m.one(ctx, msg); err != nil {
				return 0, err
			}
		}
		if got {
			continue
		}
		info, err := consumer.Info(ctx)
		switch {
		case err != nil:
			return 0, err
		case info.NumAckPending > 0: // a bridge is processing it, or has died with it
			return uint64(info.NumAckPending) + info.NumPending, nil
		case info.NumPending == 0:
			return m.rest(ctx, end)
		}
	}
	if err != nil { // nobody reads the queue
		return m.rest(ctx, end)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return 0, err
	}
	return max(info.NumPending, 1), nil
}

// complete moves the rest of a queue that gets nothing any more, and opens the new one.
func (m *mover) complete(ctx context.Context) (left uint64, _ error) {
	ctx, cancel := context.WithTimeout(ctx, 2*m.t.timeout+m.t.ackWait+2*moveFor)
	defer cancel()
	filling, err := m.begin(ctx)
	if err != nil || !filling {
		return 0, err
	}
	if left, err = m.moveAll(ctx); err != nil {
		return left, err
	}
	have, err := m.t.conn.JetStream().Stream(ctx, m.to.Name)
	if err != nil {
		return left, err
	}
	return left, m.t.finish(ctx, have, m.to)
}

// moveAll moves until nothing is left, so that all of it comes before what is sent from now on. Another bridge that moves has
// one in flight for a moment, and one that died with it for ackWait. An older bridge that works on it may take hours: then
// that one, and what is behind it, comes later.
func (m *mover) moveAll(ctx context.Context) (left uint64, _ error) {
	for end := time.Now().Add(m.t.ackWait + moveFor); ; {
		attempt, cancel := context.WithTimeout(ctx, m.t.timeout+moveFor)
		left, err := m.move(attempt)
		cancel()
		if err != nil || left == 0 || time.Now().After(end) {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(movePause):
		}
	}
}

// movePause is how long to wait for a command that somebody else is processing.
const movePause = 20 * time.Millisecond

// one moves a command that was pulled.
func (m *mover) one(ctx context.Context, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	again, err := m.send(ctx, msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream, meta.Timestamp)
	if err != nil {
		return err
	}
	if again && meta.NumDelivered == 1 {
		m.t.log.InfoContext(ctx, "a queued command was sent twice under one id; it is moved once", "subject", msg.Subject(), "sequence", meta.Sequence.Stream)
	}
	return msg.DoubleAck(ctx)
}

// rest moves what the consumer gives nobody: of a cloud that none reads, or what the broker has given up.
func (m *mover) rest(ctx context.Context, end time.Time) (left uint64, _ error) {
	subject := string(m.t.cfg.Prefix) + ".command." + m.cloud + ".>"
	for next := uint64(1); time.Now().Before(end); {
		msg, err := stored.On(m.t.conn).Get(ctx, m.old.CachedInfo().Config.Name, next, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", m.old.CachedInfo().Config.Name, err)
		}
		if _, err := m.send(ctx, msg.Subject, msg.Header, msg.Data, msg.Sequence, msg.Time); err != nil {
			return 0, err
		}
		if err := m.old.DeleteMsg(ctx, msg.Sequence); err != nil && !natserr.NoMessage(err) {
			return 0, fmt.Errorf("delete %d of %s: %w", msg.Sequence, m.old.CachedInfo().Config.Name, err)
		}
		next = msg.Sequence + 1
	}
	return nearly + 1, nil
}
