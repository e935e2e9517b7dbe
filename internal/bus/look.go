package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lookOnce looks whether the streams are there and take what is sent to them, and says whether all is well.
func (b *Bus) lookOnce(ctx context.Context, begun func()) bool {
	began := time.Now()
	looking, stop := b.whileUp(ctx)
	defer stop()
	attempt, cancel := context.WithTimeout(looking, b.lookTimeout)
	defer cancel()
	err := b.ensureStreams(attempt)
	if err == nil || errors.Is(err, errUnusable) {
		begun() // nothing waits for the object stores
		b.ensureBuckets(looking)
		b.ensureOriginals(looking)
	}
	if err == nil {
		b.health.looksWell(began)
	}
	b.askRefused(looking)
	if looking.Err() != nil {
		return false // it was cut short by the ordinary end, or by an outage, after which there is another one
	}
	b.mu.Lock()
	news := err != nil && (b.bound == nil || b.bound.Error() != err.Error())
	if err == nil && b.bound != nil {
		close(b.better)
		b.better = make(chan struct{})
	}
	b.bound = err
	b.mu.Unlock()
	if news { // the same failure again and again is one line
		b.log.ErrorContext(ctx, "streams are not ready; trying again", "error", err)
	}
	return b.Ready() == nil
}

// whileUp returns a context that ends when the connection goes down: what was asked on it is never answered.
func (b *Bus) whileUp(ctx context.Context) (context.Context, context.CancelFunc) {
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

// gotBetter is closed when a look finds well what was not.
func (b *Bus) gotBetter() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.better
}

// bindStreams looks up what this process needs, as far as it may. Whether a stream is there that it may not look up, its
// publishes and pulls will tell.
func (b *Bus) bindStreams(ctx context.Context) error {
	p := b.cfg.Prefix
	var names []string
	if b.cfg.Takes {
		names = append(names, p.EventStream(), p.DeadStream())
	}
	if b.cfg.Carries {
		names = append(names, p.CommandStream(), p.ResultStream(), p.DeadStream(), "KV_"+b.ledgerBucket())
	}
	var useless []error
	for _, name := range names {
		switch err := b.bindStream(ctx, name); {
		case errors.Is(err, errUnusable):
			useless = append(useless, err)
		case err != nil:
			return err
		}
	}
	return first(useless)
}

func (b *Bus) bindStream(ctx context.Context, name string) error {
	if b.health.isHidden(name) {
		return nil
	}
	attempt, cancel := context.WithTimeout(ctx, b.lookTimeout/4) // a look that is refused is never answered
	defer cancel()
	have, err := b.js.Stream(attempt, name)
	switch {
	case err == nil:
		return usable(have.CachedInfo(), name != b.cfg.Prefix.CommandStream())
	case b.health.isHidden(name): // the server has said so meanwhile
		return nil
	}
	return fmt.Errorf("look up stream %s: %w", name, err)
}

// silentFor is how long a server that holds a stream may be silent before it counts as away. It has to be heard every
// second.
const silentFor = 10 * time.Second

var (
	errUnusable = errors.New("cannot be used")
	errSealed   = errors.New("it is sealed, so it takes nothing")
	errFull     = errors.New("it is full, and it is set to refuse what is new")
	errNoLeader = errors.New("it has no leader")
	errNoQuorum = errors.New("too few of the servers that hold it can be reached, so it stores nothing")
)

// usable says why a stream that is there is of no use. Whether the queue of commands is full is its senders' matter.
func usable(info *jetstream.StreamInfo, weSend bool) error {
	c, s := info.Config, info.State
	full := c.Discard == jetstream.DiscardNew &&
		(c.MaxMsgs > 0 && s.Msgs >= uint64(c.MaxMsgs) || c.MaxBytes > 0 && s.Bytes >= uint64(c.MaxBytes))
	var err error
	switch cluster := info.Cluster; {
	case c.Sealed:
		err = errSealed
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
