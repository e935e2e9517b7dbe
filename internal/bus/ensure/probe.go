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

// Whoever makes streams finds out first what room there is for all of them, with the probe: a stream that holds nothing and
// reserves bytes. The server lets only one bridge have it, and that one keeps it, without the bytes, until it has made what
// was missing. So bridges that start at the same time do not measure what the other is about to take.

const (
	// probeHeld is how long a bridge keeps the probe at most, and probeStale the age at which its bridge is gone. Both ages
	// are the server's word: nobody's clock counts but its own.
	probeHeld, probeStale = 10 * time.Second, 15 * time.Second
	// probeLook is how often a bridge looks whether another one has finished.
	probeLook = 50 * time.Millisecond
	// probeTries is how often a bridge measures again because another one has made streams meanwhile.
	probeTries = 3
	// probeReleased bounds how long it takes to give the probe back.
	probeReleased = 2 * time.Second
)

func (e *Ensurer) probeName() string { return topology.OldName(e.cfg.Prefix, "ROOM") }

// probeSubjects is what the subjects of probes begin with. Only a bridge that takes over a stale probe publishes there.
func (e *Ensurer) probeSubjects() string { return string(e.cfg.Prefix) + ".room." }

// newProbe is the configuration of a probe. Its subject is its own, and so tells it from those of other bridges.
func (e *Ensurer) newProbe(subject string, bytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: e.probeName(), Description: "Measures what room there is; whoever made it deletes it in a moment", Subjects: []string{subject},
		MaxBytes: bytes, MaxMsgs: 1, Replicas: e.cfg.Replicas, Storage: jetstream.FileStorage,
	}
}

// shareOut looks what is missing, and finds out whether there is room for all of it, or what share of it. Where something is
// missing this bridge has the probe afterwards, if it can be had, and whoever looks releases it.
func (e *Ensurer) shareOut(ctx context.Context, see func() map[string]look) map[string]look {
	looks := see()
	wanted := e.missing(ctx, looks)
	for try := 0; wanted > 0 && try < probeTries && ctx.Err() == nil; try++ {
		e.measuring.Lock()
		room, taken := e.reserve(ctx, wanted)
		before := wanted
		if !taken {
			if looks = see(); e.missing(ctx, looks) == before {
				e.setShare(ctx, room, wanted)
				e.shrinkProbe(ctx)
				e.measuring.Unlock()
				return looks
			}
			e.releaseProbe(ctx)
		}
		e.measuring.Unlock()
		if taken {
			e.awaitProbe(ctx)
			looks = see()
		}
		wanted = e.missing(ctx, looks)
	}
	e.setShare(ctx, 0, 0)
	if wanted == 0 {
		e.sweepProbe(ctx)
	}
	return looks
}

// missing is the size of all that is missing.
func (e *Ensurer) missing(ctx context.Context, looks map[string]look) (bytes int64) {
	for _, l := range looks {
		for _, s := range l.missing {
			bytes += s.Kind.Size(e.cfg.MaxBytes)
		}
		for _, s := range l.rest {
			bytes += s.Size(e.cfg.MaxBytes)
		}
	}
	if bytes > 0 && e.isMissing(ctx, "KV_"+topology.ReconcileBucket(e.cfg.Prefix)) {
		bytes += topology.Reconcile.Size(e.cfg.MaxBytes)
	}
	return bytes
}

// missingRest are the sizes of what a cloud lacks beside its streams.
func (e *Ensurer) missingRest(ctx context.Context, cloud string) (rest []topology.Kind) {
	for _, bucket := range e.cfg.Plan().Exchange(cloud) {
		if e.isMissing(ctx, "OBJ_"+bucket.Bucket) {
			rest = append(rest, bucket.Kind)
		}
	}
	if e.isMissing(ctx, "OBJ_"+e.cfg.Prefix.OriginalBucket(cloud)) {
		rest = append(rest, topology.Originals)
	}
	return rest
}

func (e *Ensurer) isMissing(ctx context.Context, stream string) bool {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	_, err := e.conn.JetStream().Stream(ctx, stream)
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

// setShare keeps what share of the sizes there is room for, and tells it once.
func (e *Ensurer) setShare(ctx context.Context, room, wanted int64) {
	share, news := 0.0, ""
	if room < wanted {
		share = float64(room) / float64(wanted)
		news = "little room"
	}
	e.mu.Lock()
	e.shares = share
	e.mu.Unlock()
	if e.conn.News("room", news) {
		e.log.WarnContext(ctx, "NATS has little room, so the streams and buckets that are missing are made with this share of their sizes, or the least that each needs; "+
			"they may forget before their time, or refuse what is new earlier. Give NATS more room, or make nats.max_bytes smaller",
			"share", share, "bytes", room, "wanted", wanted)
	}
}

// reserve returns how much can be reserved: all of it, or a half of it, and so on. taken says that another bridge has the
// probe.
func (e *Ensurer) reserve(ctx context.Context, wanted int64) (bytes int64, taken bool) {
	for bytes = wanted; bytes > topology.LeastSize; bytes /= 2 {
		p := &probe{subject: e.probeSubjects() + rand.Text(), asked: time.Now()}
		e.mu.Lock()
		e.probed = p.subject
		e.mu.Unlock()
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		_, err := e.conn.JetStream().CreateStream(attempt, e.newProbe(p.subject, bytes))
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return 0, true
		case err == nil:
			p.late = time.AfterFunc(max(0, e.probeHeld-time.Since(p.asked)), func() { e.releaseProbe(ctx) })
			e.mu.Lock()
			e.probe = p
			e.mu.Unlock()
			return bytes, false
		case natserr.Of(err) != natserr.NoRoom: // whoever makes the streams hears why not
			return wanted, false
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

func (e *Ensurer) hasProbe() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.probe != nil
}

// shrinkProbe leaves the room that was measured to what is to be made. Without that, the probe is given back.
func (e *Ensurer) shrinkProbe(ctx context.Context) {
	e.mu.Lock()
	p := e.probe
	e.mu.Unlock()
	if p == nil {
		return
	}
	attempt, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	if _, err := e.conn.JetStream().UpdateStream(attempt, e.newProbe(p.subject, -1)); err != nil {
		e.releaseProbe(ctx)
	}
}

// releaseProbe deletes the probe of this bridge. It is ours for as long as it is not stale; one that could not be deleted
// becomes so.
func (e *Ensurer) releaseProbe(ctx context.Context) {
	e.mu.Lock()
	p := e.probe
	e.probe = nil
	e.mu.Unlock()
	if p == nil {
		return
	}
	p.late.Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeReleased)
	defer cancel()
	if err := e.conn.JetStream().DeleteStream(ctx, e.probeName()); err != nil {
		e.setSwept(false)
	}
}

// sweepProbe looks, once for each connection, for a probe that a bridge has left which is gone: it would keep its bytes.
func (e *Ensurer) sweepProbe(ctx context.Context) {
	e.mu.Lock()
	swept := e.swept
	e.mu.Unlock()
	if !swept && !e.hasProbe() && !e.isProbed(ctx) && ctx.Err() == nil {
		e.setSwept(true)
	}
}

func (e *Ensurer) setSwept(is bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.swept = is
}

// awaitProbe waits until no other bridge shares out the room, or until that takes longer than it can.
func (e *Ensurer) awaitProbe(ctx context.Context) {
	end := time.After(e.probeHeld + e.probeStale)
	look := time.NewTicker(probeLook)
	defer look.Stop()
	for !e.hasProbe() && e.isProbed(ctx) {
		select {
		case <-look.C:
		case <-end:
			return
		case <-ctx.Done():
			return
		}
	}
}

// isProbed says whether another bridge has the probe. A stale one is deleted.
func (e *Ensurer) isProbed(ctx context.Context) bool {
	looking, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	have, err := e.conn.JetStream().Stream(looking, e.probeName())
	if err != nil { // there is none, or nobody says so
		return false
	}
	info := have.CachedInfo()
	subject := strings.Join(info.Config.Subjects, " ") // ours has one
	e.mu.Lock()
	ours := subject == e.probed
	e.mu.Unlock()
	since := info.Created
	if info.State.LastTime.After(since) { // its last take-over
		since = info.State.LastTime
	}
	stale := info.TimeStamp.Sub(since) > e.probeStale
	switch {
	case subject != info.Config.Name && !strings.HasPrefix(subject, e.probeSubjects()):
		if e.conn.News(info.Config.Name, "foreign") {
			e.log.WarnContext(ctx, "a stream that is none of the bridge's has the name by which it measures what room there is; streams are made without that",
				"stream", info.Config.Name)
		}
		return false
	case !stale && !ours:
		return true
	case stale && !e.takeProbe(ctx, subject, info.State.LastSeq):
		return true
	}
	deleting, stop := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer stop()
	if err := e.conn.JetStream().DeleteStream(deleting, info.Config.Name); err != nil {
		return !errors.Is(err, jetstream.ErrStreamNotFound)
	}
	e.log.InfoContext(ctx, "deleted what measured the room of NATS: the bridge that made it is gone", "stream", info.Config.Name, "bytes", info.Config.MaxBytes)
	return false
}

// takeProbe takes over a stale probe, and says whether it did. Of several bridges the server lets one: who comes later finds
// a message in it, or, once another probe has its name, nobody who listens to its subject.
func (e *Ensurer) takeProbe(ctx context.Context, subject string, last uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	_, err := e.conn.JetStream().Publish(ctx, subject, nil, jetstream.WithExpectLastSequence(last), jetstream.WithRetryAttempts(0))
	return err == nil
}
