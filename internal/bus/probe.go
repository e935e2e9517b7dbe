package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
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

func (b *Conn) probeName() string { return topology.OldName(b.cfg.Prefix, "ROOM") }

// probeSubjects is what the subjects of probes begin with. Only a bridge that takes over a stale probe publishes there.
func (b *Conn) probeSubjects() string { return string(b.cfg.Prefix) + ".room." }

// newProbe is the configuration of a probe. Its subject is its own, and so tells it from those of other bridges.
func (b *Conn) newProbe(subject string, bytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.probeName(), Description: "Measures what room there is; whoever made it deletes it in a moment", Subjects: []string{subject},
		MaxBytes: bytes, MaxMsgs: 1, Replicas: b.cfg.Replicas, Storage: jetstream.FileStorage,
	}
}

// shareOut looks what is missing, and finds out whether there is room for all of it, or what share of it. Where something is
// missing this bridge has the probe afterwards, if it can be had, and whoever looks releases it.
func (b *Conn) shareOut(ctx context.Context, see func() map[string]look) map[string]look {
	looks := see()
	wanted := b.missing(ctx, looks)
	for try := 0; wanted > 0 && try < probeTries && ctx.Err() == nil; try++ {
		b.measuring.Lock()
		room, taken := b.reserve(ctx, wanted)
		before := wanted
		if !taken {
			if looks = see(); b.missing(ctx, looks) == before {
				b.setShare(ctx, room, wanted)
				b.shrinkProbe(ctx)
				b.measuring.Unlock()
				return looks
			}
			b.releaseProbe(ctx)
		}
		b.measuring.Unlock()
		if taken {
			b.awaitProbe(ctx)
			looks = see()
		}
		wanted = b.missing(ctx, looks)
	}
	b.setShare(ctx, 0, 0)
	if wanted == 0 {
		b.sweepProbe(ctx)
	}
	return looks
}

// missing is the size of all that is missing.
func (b *Conn) missing(ctx context.Context, looks map[string]look) (bytes int64) {
	for _, l := range looks {
		for _, s := range l.missing {
			bytes += s.Kind.Size(b.cfg.MaxBytes)
		}
		for _, s := range l.rest {
			bytes += s.Size(b.cfg.MaxBytes)
		}
	}
	if bytes > 0 && b.isMissing(ctx, "KV_"+topology.ReconcileBucket(b.cfg.Prefix)) {
		bytes += topology.Reconcile.Size(b.cfg.MaxBytes)
	}
	return bytes
}

// missingRest are the sizes of what a cloud lacks beside its streams.
func (b *Conn) missingRest(ctx context.Context, cloud string) (rest []topology.Kind) {
	for _, bucket := range b.cfg.Plan().Exchange(cloud) {
		if b.isMissing(ctx, "OBJ_"+bucket.Bucket) {
			rest = append(rest, bucket.Kind)
		}
	}
	if b.isMissing(ctx, "OBJ_"+b.cfg.Prefix.OriginalBucket(cloud)) {
		rest = append(rest, topology.Originals)
	}
	return rest
}

func (b *Conn) isMissing(ctx context.Context, stream string) bool {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	_, err := b.js.Stream(ctx, stream)
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

// setShare keeps what share of the sizes there is room for, and tells it once.
func (b *Conn) setShare(ctx context.Context, room, wanted int64) {
	share, news := 0.0, ""
	if room < wanted {
		share = float64(room) / float64(wanted)
		news = "little room"
	}
	b.mu.Lock()
	b.shares = share
	b.mu.Unlock()
	if b.News("room", news) {
		b.log.WarnContext(ctx, "NATS has little room, so the streams and buckets that are missing are made with this share of their sizes, or the least that each needs; "+
			"they may forget before their time, or refuse what is new earlier. Give NATS more room, or make nats.max_bytes smaller",
			"share", share, "bytes", room, "wanted", wanted)
	}
}

// reserve returns how much can be reserved: all of it, or a half of it, and so on. taken says that another bridge has the
// probe.
func (b *Conn) reserve(ctx context.Context, wanted int64) (bytes int64, taken bool) {
	for bytes = wanted; bytes > topology.LeastSize; bytes /= 2 {
		p := &probe{subject: b.probeSubjects() + rand.Text(), asked: time.Now()}
		b.mu.Lock()
		b.probed = p.subject
		b.mu.Unlock()
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		_, err := b.js.CreateStream(attempt, b.newProbe(p.subject, bytes))
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return 0, true
		case err == nil:
			p.late = time.AfterFunc(max(0, b.probeHeld-time.Since(p.asked)), func() { b.releaseProbe(ctx) })
			b.mu.Lock()
			b.probe = p
			b.mu.Unlock()
			return bytes, false
		case !isNoRoom(err): // whoever makes the streams hears why not
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

func (b *Conn) hasProbe() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.probe != nil
}

// shrinkProbe leaves the room that was measured to what is to be made. Without that, the probe is given back.
func (b *Conn) shrinkProbe(ctx context.Context) {
	b.mu.Lock()
	p := b.probe
	b.mu.Unlock()
	if p == nil {
		return
	}
	attempt, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	if _, err := b.js.UpdateStream(attempt, b.newProbe(p.subject, -1)); err != nil {
		b.releaseProbe(ctx)
	}
}

// releaseProbe deletes the probe of this bridge. It is ours for as long as it is not stale; one that could not be deleted
// becomes so.
func (b *Conn) releaseProbe(ctx context.Context) {
	b.mu.Lock()
	p := b.probe
	b.probe = nil
	b.mu.Unlock()
	if p == nil {
		return
	}
	p.late.Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeReleased)
	defer cancel()
	if err := b.js.DeleteStream(ctx, b.probeName()); err != nil {
		b.setSwept(false)
	}
}

// sweepProbe looks, once for each connection, for a probe that a bridge has left which is gone: it would keep its bytes.
func (b *Conn) sweepProbe(ctx context.Context) {
	b.mu.Lock()
	swept := b.swept
	b.mu.Unlock()
	if !swept && !b.hasProbe() && !b.isProbed(ctx) && ctx.Err() == nil {
		b.setSwept(true)
	}
}

func (b *Conn) setSwept(is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.swept = is
}

// awaitProbe waits until no other bridge shares out the room, or until that takes longer than it can.
func (b *Conn) awaitProbe(ctx context.Context) {
	end := time.After(b.probeHeld + b.probeStale)
	look := time.NewTicker(probeLook)
	defer look.Stop()
	for !b.hasProbe() && b.isProbed(ctx) {
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
func (b *Conn) isProbed(ctx context.Context) bool {
	looking, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	have, err := b.js.Stream(looking, b.probeName())
	if err != nil { // there is none, or nobody says so
		return false
	}
	info := have.CachedInfo()
	subject := strings.Join(info.Config.Subjects, " ") // ours has one
	b.mu.Lock()
	ours := subject == b.probed
	b.mu.Unlock()
	since := info.Created
	if info.State.LastTime.After(since) { // its last take-over
		since = info.State.LastTime
	}
	stale := info.TimeStamp.Sub(since) > b.probeStale
	switch {
	case subject != info.Config.Name && !strings.HasPrefix(subject, b.probeSubjects()):
		if b.News(info.Config.Name, "foreign") {
			b.log.WarnContext(ctx, "a stream that is none of the bridge's has the name by which it measures what room there is; streams are made without that",
				"stream", info.Config.Name)
		}
		return false
	case !stale && !ours:
		return true
	case stale && !b.takeProbe(ctx, subject, info.State.LastSeq):
		return true
	}
	deleting, stop := context.WithTimeout(ctx, AttemptTimeout)
	defer stop()
	if err := b.js.DeleteStream(deleting, info.Config.Name); err != nil {
		return !errors.Is(err, jetstream.ErrStreamNotFound)
	}
	b.log.InfoContext(ctx, "deleted what measured the room of NATS: the bridge that made it is gone", "stream", info.Config.Name, "bytes", info.Config.MaxBytes)
	return false
}

// takeProbe takes over a stale probe, and says whether it did. Of several bridges the server lets one: who comes later finds
// a message in it, or, once another probe has its name, nobody who listens to its subject.
func (b *Conn) takeProbe(ctx context.Context, subject string, last uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	_, err := b.js.Publish(ctx, subject, nil, jetstream.WithExpectLastSequence(last), jetstream.WithRetryAttempts(0))
	return err == nil
}
