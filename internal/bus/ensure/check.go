package ensure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Check checks whether the streams are there and take what is sent to them, and says whether all is well.
func (e *Ensurer) Check(ctx context.Context) bool {
	began := time.Now()
	e.renew()
	if n := e.conn.NATS().MaxPayload(); n > 0 {
		e.conn.SawPayload(n)
	}
	looking, stop := e.conn.WhileUp(ctx)
	defer stop()
	if old := checkVersion(e.conn.NATS().ConnectedServerVersion()); old != nil {
		for _, cloud := range e.cfg.Clouds {
			if e.conn.Found(cloud, old) {
				e.log.ErrorContext(ctx, "streams are not ready; trying again", "cloud", cloud, "error", old)
			}
		}
		return false
	}
	moving, err := e.older.TakeOver(looking)
	errs := e.ensureStreams(looking)
	begun := false
	for cloud, problem := range errs {
		if e.older.IsMovingOf(cloud) { // the old streams work meanwhile; its commands begin once they are all in its own
			errs[cloud] = cmp.Or(err, problem) // of those that are not in the move
			continue
		}
		if err != nil && !e.conn.HasBegun(cloud) {
			errs[cloud] = err
			continue
		}
		if problem == nil || errors.Is(problem, errUnusable) {
			e.conn.Begin(cloud) // nothing waits for the object stores
			begun = true
		}
	}
	if begun {
		e.ensureBuckets(looking)
		e.originals.EnsureAll(looking)
		e.ensureControl(looking)
		e.ensureMirror(looking)
		e.isStocked(looking)
	}
	e.room.releaseProbe(ctx)
	e.consumers.check(looking, errs)
	e.conn.Health().Checked(looking, e.conn.NATS(), began, errs)
	if looking.Err() != nil {
		return false // it was cut short by the ordinary end, or by an outage, after which there is another one
	}
	for _, cloud := range e.cfg.Clouds {
		if e.conn.Found(cloud, errs[cloud]) { // the same failure again and again is one line
			e.log.ErrorContext(ctx, "streams are not ready; trying again", "cloud", cloud, "error", errs[cloud])
		}
	}
	if moving && err == nil {
		e.conn.Recheck()
	}
	return e.conn.Health().Ready() == nil && len(e.conn.Health().Troubles()) == 0
}

// isStocked notes that the buckets were looked for, and made as far as that is possible.
func (e *Ensurer) isStocked(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stocked = e.stocked || ctx.Err() == nil
}

// cloudsAtOnce bounds how many clouds are looked at side by side.
const cloudsAtOnce = 8

// eachCloud does something for all clouds side by side, each within the time of a check: one whose streams have no leader
// takes no time from the others.
func (e *Ensurer) eachCloud(ctx context.Context, do func(context.Context, string) cloudState) map[string]cloudState {
	var mu sync.Mutex
	var group sync.WaitGroup
	places := make(chan struct{}, cloudsAtOnce)
	states := make(map[string]cloudState, len(e.cfg.Clouds))
	for _, cloud := range e.cfg.Clouds {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, e.timeout)
			defer cancel()
			l := do(ctx, cloud)
			mu.Lock()
			defer mu.Unlock()
			states[cloud] = l
		})
	}
	group.Wait()
	return states
}

// bindStreams looks up what this process needs of a cloud, as far as it may. Whether a stream is there that it may not look
// up, its publishes and pulls will show.
func (e *Ensurer) bindStreams(ctx context.Context, cloud string) error {
	p := e.cfg.Prefix
	var names []string
	if e.cfg.Takes {
		names = append(names, p.EventStream(cloud), p.DeadStream(cloud))
	}
	if e.cfg.Carries {
		names = append(names, p.CommandStream(cloud), p.ResultStream(cloud), p.DeadStream(cloud), "KV_"+topology.LedgerBucket(p, cloud))
	}
	var useless []error
	for _, name := range names {
		switch err := e.bindStream(ctx, cloud, name, name != p.CommandStream(cloud)); {
		case errors.Is(err, errUnusable):
			useless = append(useless, err)
		case err != nil:
			return err
		}
	}
	return first(useless)
}

func (e *Ensurer) bindStream(ctx context.Context, cloud, name string, weSend bool) error {
	if e.conn.Health().Hidden(name) {
		return nil
	}
	attempt, cancel := context.WithTimeout(ctx, e.timeout/4) // a request that is refused is never answered
	defer cancel()
	have, err := e.conn.JetStream().Stream(attempt, name)
	switch {
	case err == nil:
		e.noteStream(cloud, have.CachedInfo().Config)
		return e.noteUsable(have.CachedInfo(), weSend)
	case e.conn.Health().Hidden(name): // the server has said so meanwhile
		return nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("look up stream %s: %w; a bridge with nats.manage: true makes it, and takes over the streams that an older version had for all clouds",
			name, err)
	}
	return fmt.Errorf("look up stream %s: %w", name, err)
}

// silentFor is how long a server that holds a stream may be silent before it counts as away. It has to be heard every
// second.
const silentFor = 10 * time.Second

var (
	errUnusable = errors.New("cannot be used")
	errNoAck    = errors.New("it is set to acknowledge nothing (no_ack), so nobody can know what it has stored")
	errSealed   = errors.New("it is sealed, so it takes nothing")
	errFull     = errors.New("it is full, and it is set to refuse what is new")
	errNoLeader = errors.New("it has no leader")
	errNoQuorum = errors.New("too few of the servers that hold it can be reached, so it stores nothing")
)

// noteUsable says why a stream that is there is of no use. Publishes are to know if it acknowledges what it does not keep.
func (e *Ensurer) noteUsable(info *jetstream.StreamInfo, weSend bool) error {
	err := usable(info, weSend)
	e.conn.SawKept(info.Config.Name, !errors.Is(err, natserr.ErrNotKept))
	return err
}

// usable says why a stream that is there is of no use. Whether the queue of commands is full is its senders' matter.
func usable(info *jetstream.StreamInfo, weSend bool) error {
	c, s := info.Config, info.State
	full := c.Discard == jetstream.DiscardNew &&
		(c.MaxMsgs > 0 && s.Msgs >= uint64(c.MaxMsgs) || c.MaxBytes > 0 && s.Bytes >= uint64(c.MaxBytes))
	var err error
	switch cluster := info.Cluster; {
	case c.Sealed:
		err = errSealed
	case weSend && c.NoAck:
		err = errNoAck
	case weSend && c.Retention == jetstream.InterestPolicy && s.Consumers == 0:
		err = natserr.ErrNotKept
	case weSend && full:
		err = errFull
	case cluster == nil:
	case cluster.Leader == "":
		err = errNoLeader
	default:
		reached := 1
		for _, peer := range cluster.Replicas {
			if !peer.Offline && peer.Active < silentFor {
				reached++
			}
		}
		if all := 1 + len(cluster.Replicas); 2*reached <= all {
			err = errNoQuorum
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s %w: %w", c.Name, errUnusable, err)
	}
	return nil
}
