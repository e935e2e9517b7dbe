package ensure

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// A bridge that makes streams finds out first what room there is for all of them, with the probe: a stream that holds nothing and
// reserves bytes. The server lets only one bridge have it, and that one keeps it, without the bytes, until it has made what
// was missing. So bridges that start at the same time do not measure what the other is about to take.

const (
	// probeHeld is how long a bridge keeps the probe at most, and probeStale the age at which its bridge is gone. Both ages
	// are the server's word: nobody's clock counts but its own.
	probeHeld, probeStale = 10 * time.Second, 15 * time.Second
	// probePoll is how often a bridge checks whether another one has finished.
	probePoll = 50 * time.Millisecond
	// probeFreed is how long the server may take to free the bytes of a deleted probe: it frees them after the name.
	probeFreed = 250 * time.Millisecond
	// probeTries is how often a bridge measures again because another one has made streams meanwhile.
	probeTries = 3
	// probeReleased bounds how long it takes to give the probe back.
	probeReleased = 2 * time.Second
)

func (r *room) probeName() string { return topology.OldName(r.cfg.Prefix, "ROOM") }

// probeSubjects is what the subjects of probes begin with. Only a bridge that takes over a stale probe publishes there.
func (r *room) probeSubjects() string { return string(r.cfg.Prefix) + ".room." }

// newProbe is the configuration of a probe. Its subject is unique, so that it differs from those of other bridges.
func (r *room) newProbe(subject string, bytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: r.probeName(), Description: "Measures what room there is; whoever made it deletes it in a moment", Subjects: []string{subject},
		MaxBytes: bytes, MaxMsgs: 1, Replicas: r.cfg.Replicas, Storage: jetstream.FileStorage,
	}
}

// shareOut finds out whether there is room for all that is missing, or for what share of it. missing finds out what is missing,
// and returns its size. If something is, this bridge has the probe afterwards, as far as it can get it, and its caller releases it.
func (r *room) shareOut(ctx context.Context, missing func() int64) {
	wanted := missing()
	for try := 0; wanted > 0 && try < probeTries && ctx.Err() == nil; try++ {
		r.measuring.Lock()
		bytes, taken := r.reserve(ctx, wanted)
		if !taken {
			before := wanted
			if wanted = missing(); wanted == before {
				r.setShare(ctx, bytes, wanted)
				r.shrinkProbe(ctx)
				r.measuring.Unlock()
				return
			}
			r.releaseProbe(ctx)
		}
		r.measuring.Unlock()
		if taken {
			r.awaitProbe(ctx)
			wanted = missing()
		}
	}
	r.setShare(ctx, 0, 0)
	if wanted == 0 {
		r.sweepProbe(ctx)
	}
}

// setShare keeps what share of the sizes there is room for, and logs it once.
func (r *room) setShare(ctx context.Context, bytes, wanted int64) {
	share, news := 0.0, ""
	if bytes < wanted {
		share = float64(bytes) / float64(wanted)
		news = "little room"
	}
	r.mu.Lock()
	r.shares = share
	r.mu.Unlock()
	if r.conn.News("room", news) {
		r.log.WarnContext(ctx, "NATS has little room, so the streams and buckets that are missing are made with this share of their sizes, or the least that each needs; "+
			"they may forget before their time, or refuse what is new earlier. Give NATS more room, or make nats.max_bytes smaller",
			"share", share, "bytes", bytes, "wanted", wanted)
	}
}

// reserve returns how much can be reserved: all of it, or a half of it, and so on. taken says that another bridge has the
// probe.
func (r *room) reserve(ctx context.Context, wanted int64) (bytes int64, taken bool) {
	freed := time.Now().Add(probeFreed)
	for bytes = wanted; bytes > topology.LeastSize; {
		p := &probe{subject: r.probeSubjects() + rand.Text(), asked: time.Now()}
		r.mu.Lock()
		r.probed = p.subject
		r.mu.Unlock()
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		_, err := r.conn.JetStream().CreateStream(attempt, r.newProbe(p.subject, bytes))
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return 0, true
		case err == nil:
			p.late = time.AfterFunc(max(0, r.probeHeld-time.Since(p.asked)), func() { r.releaseProbe(ctx) })
			r.mu.Lock()
			r.probe = p
			r.mu.Unlock()
			return bytes, false
		case natserr.Of(err) != natserr.NoRoom: // the error comes again when the streams are made
			return wanted, false
		case bytes == wanted && time.Now().Before(freed):
			select { // another bridge may have deleted its probe just now
			case <-time.After(probePoll):
			case <-ctx.Done(): // nothing is known of the room
				return wanted, false
			}
		default:
			bytes /= 2
		}
	}
	return bytes, false
}

// probe is the one that this bridge has.
type probe struct {
	subject string
	asked   time.Time
	late    *time.Timer // gives it back when it was kept for too long
}

func (r *room) hasProbe() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.probe != nil
}

// shrinkProbe leaves the room that was measured to what is to be made. Without that, the probe is given back.
func (r *room) shrinkProbe(ctx context.Context) {
	r.mu.Lock()
	p := r.probe
	r.mu.Unlock()
	if p == nil {
		return
	}
	attempt, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	if _, err := r.conn.JetStream().UpdateStream(attempt, r.newProbe(p.subject, -1)); err != nil {
		r.releaseProbe(ctx)
	}
}

// releaseProbe deletes the probe of this bridge. It is ours for as long as it is not stale; one that could not be deleted
// becomes so.
func (r *room) releaseProbe(ctx context.Context) {
	r.mu.Lock()
	p := r.probe
	r.probe = nil
	r.mu.Unlock()
	if p == nil {
		return
	}
	p.late.Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeReleased)
	defer cancel()
	if err := r.conn.JetStream().DeleteStream(ctx, r.probeName()); err != nil {
		r.setSwept(false)
	}
}

// sweepProbe looks, once for each connection, for a probe that a bridge has left which is gone: it would keep its bytes.
func (r *room) sweepProbe(ctx context.Context) {
	r.mu.Lock()
	swept := r.swept
	r.mu.Unlock()
	if !swept && !r.hasProbe() && !r.isProbed(ctx) && ctx.Err() == nil {
		r.setSwept(true)
	}
}

func (r *room) setSwept(is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swept = is
}

// awaitProbe waits until no other bridge shares out the room, or until that takes longer than it can.
func (r *room) awaitProbe(ctx context.Context) {
	end := time.After(r.probeHeld + r.probeStale)
	poll := time.NewTicker(probePoll)
	defer poll.Stop()
	for !r.hasProbe() && r.isProbed(ctx) {
		select {
		case <-poll.C:
		case <-end:
			return
		case <-ctx.Done():
			return
		}
	}
}

// isProbed says whether another bridge has the probe. A stale one is deleted.
func (r *room) isProbed(ctx context.Context) bool {
	looking, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	have, err := r.conn.JetStream().Stream(looking, r.probeName())
	if err != nil { // there is none, or nobody says so
		return false
	}
	info := have.CachedInfo()
	subject := strings.Join(info.Config.Subjects, " ") // ours has one
	r.mu.Lock()
	ours := subject == r.probed
	r.mu.Unlock()
	since := info.Created
	if info.State.LastTime.After(since) { // its last take-over
		since = info.State.LastTime
	}
	stale := info.TimeStamp.Sub(since) > r.probeStale
	switch {
	case subject != info.Config.Name && !strings.HasPrefix(subject, r.probeSubjects()):
		if r.conn.News(info.Config.Name, "foreign") {
			r.log.WarnContext(ctx, "a stream that is none of the bridge's has the name by which it measures what room there is; streams are made without that",
				"stream", info.Config.Name)
		}
		return false
	case !stale && !ours:
		return true
	case stale && !r.takeProbe(ctx, subject, info.State.LastSeq):
		return true
	}
	deleting, stop := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer stop()
	if err := r.conn.JetStream().DeleteStream(deleting, info.Config.Name); err != nil {
		return !errors.Is(err, jetstream.ErrStreamNotFound)
	}
	r.log.InfoContext(ctx, "deleted what measured the room of NATS: the bridge that made it is gone", "stream", info.Config.Name, "bytes", info.Config.MaxBytes)
	return false
}

// takeProbe takes over a stale probe, and says whether it did. Of several bridges the server lets one: a later one finds
// a message in it, or, once another probe has its name, nobody who listens to its subject.
func (r *room) takeProbe(ctx context.Context, subject string, last uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	_, err := r.conn.JetStream().Publish(ctx, subject, nil, jetstream.WithExpectLastSequence(last), jetstream.WithRetryAttempts(0))
	return err == nil
}
