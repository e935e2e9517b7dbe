package bus

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

// lookOnce looks whether the streams are there and take what is sent to them, and says whether all is well.
func (b *Conn) lookOnce(ctx context.Context) bool {
	began := time.Now()
	if n := b.nc.MaxPayload(); n > 0 {
		b.limits.sawPayload(n)
	}
	looking, stop := b.whileUp(ctx)
	defer stop()
	if old := checkVersion(b.nc.ConnectedServerVersion()); old != nil {
		for _, cloud := range b.cfg.Clouds {
			if b.found(cloud, old) {
				b.log.ErrorContext(ctx, "streams are not ready; trying again", "cloud", cloud, "error", old)
			}
		}
		return false
	}
	moving, err := b.takeOver(looking)
	errs := b.ensureStreams(looking)
	begun := false
	for cloud, problem := range errs {
		if b.isMovingOf(cloud) { // the old streams work meanwhile; its commands begin once they are all in its own
			errs[cloud] = cmp.Or(err, problem) // of those that are not in the move
			continue
		}
		if err != nil && !b.hasBegun(cloud) {
			errs[cloud] = err
			continue
		}
		if problem == nil || errors.Is(problem, errUnusable) {
			b.begin(cloud) // nothing waits for the object stores
			begun = true
		}
	}
	if begun {
		b.ensureBuckets(looking)
		b.ensureOriginals(looking)
		b.isStocked(looking)
	}
	b.releaseProbe(ctx)
	b.checkConsumers(looking, errs)
	b.health.looksWell(began, errs)
	b.askRefused(looking)
	if looking.Err() != nil {
		return false // it was cut short by the ordinary end, or by an outage, after which there is another one
	}
	for _, cloud := range b.cfg.Clouds {
		if b.found(cloud, errs[cloud]) { // the same failure again and again is one line
			b.log.ErrorContext(ctx, "streams are not ready; trying again", "cloud", cloud, "error", errs[cloud])
		}
	}
	if moving && err == nil {
		b.Recheck()
	}
	return b.Ready() == nil && len(b.Troubles()) == 0
}

// isStocked notes that the buckets were looked for, and made as far as that is possible.
func (b *Conn) isStocked(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stocked = b.stocked || ctx.Err() == nil
}

// found keeps what a look found of a cloud's streams, and says whether it is a failure and news.
func (b *Conn) found(cloud string, err error) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.bound[cloud]
	if err == nil && before != nil {
		close(b.better)
		b.better = make(chan struct{})
	}
	b.bound[cloud] = err
	return err != nil && (before == nil || before.Error() != err.Error())
}

// cloudsAtOnce bounds how many clouds are looked at side by side.
const cloudsAtOnce = 8

// eachCloud does something for all clouds side by side, each within the time of a look: one whose streams have no leader
// takes no time from the others.
func (b *Conn) eachCloud(ctx context.Context, do func(context.Context, string) look) map[string]look {
	var mu sync.Mutex
	var group sync.WaitGroup
	places := make(chan struct{}, cloudsAtOnce)
	looks := make(map[string]look, len(b.cfg.Clouds))
	for _, cloud := range b.cfg.Clouds {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, b.lookTimeout)
			defer cancel()
			l := do(ctx, cloud)
			mu.Lock()
			defer mu.Unlock()
			looks[cloud] = l
		})
	}
	group.Wait()
	return looks
}

// whileUp returns a context that ends when the connection goes down: what was asked on it is never answered.
func (b *Conn) whileUp(ctx context.Context) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-down:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// Recovered is closed when a look finds well what was not.
func (b *Conn) Recovered() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.better
}

// bindStreams looks up what this process needs of a cloud, as far as it may. Whether a stream is there that it may not look
// up, its publishes and pulls will tell.
func (b *Conn) bindStreams(ctx context.Context, cloud string) error {
	p := b.cfg.Prefix
	var names []string
	if b.cfg.Takes {
		names = append(names, p.EventStream(cloud), p.DeadStream(cloud))
	}
	if b.cfg.Carries {
		names = append(names, p.CommandStream(cloud), p.ResultStream(cloud), p.DeadStream(cloud), "KV_"+topology.LedgerBucket(p, cloud))
	}
	var useless []error
	for _, name := range names {
		switch err := b.bindStream(ctx, cloud, name, name != p.CommandStream(cloud)); {
		case errors.Is(err, errUnusable):
			useless = append(useless, err)
		case err != nil:
			return err
		}
	}
	return first(useless)
}

func (b *Conn) bindStream(ctx context.Context, cloud, name string, weSend bool) error {
	if b.health.isHidden(name) {
		return nil
	}
	attempt, cancel := context.WithTimeout(ctx, b.lookTimeout/4) // a look that is refused is never answered
	defer cancel()
	have, err := b.js.Stream(attempt, name)
	switch {
	case err == nil:
		b.sawStream(cloud, have.CachedInfo().Config)
		return b.sawUsable(have.CachedInfo(), weSend)
	case b.health.isHidden(name): // the server has said so meanwhile
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

// sawUsable says why a stream that is there is of no use. Publishes are to know if it acknowledges what it does not keep.
func (b *Conn) sawUsable(info *jetstream.StreamInfo, weSend bool) error {
	err := usable(info, weSend)
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, natserr.ErrNotKept) {
		b.unkept[info.Config.Name] = true
	} else {
		delete(b.unkept, info.Config.Name)
	}
	return err
}

// keeps says whether a stream keeps what it acknowledges, as far as that was seen.
func (b *Conn) keeps(stream string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.unkept[stream]
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
