package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Sizes bounds, in bytes, what each cloud's streams and buckets may hold. A zero stands for the default.
type Sizes struct{ Events, Commands, Results, Dead, Ledger, Files, Answers, Originals int64 }

// size is one of the sizes: of a kind of stream or bucket.
type size int

const (
	sizeEvents size = iota
	sizeCommands
	sizeResults
	sizeDead
	sizeLedger
	sizeFiles
	sizeAnswers
	sizeOriginals
	sizeAdvisories
	sizeReconcile
)

// leastSize is what a stream that an operator can size gets at least: the largest message of a usual server and its
// headers, several times.
const leastSize = 4 << 20

// sizes says for each kind how much it holds and where that is set. JetStream reserves all of it at once, for each cloud.
var sizes = map[size]struct {
	name        string // below nats.max_bytes; empty if it cannot be set
	most, least int64
	set         func(Sizes) int64
}{
	// Half a million events of 2 KiB: thirty days at more than ten a minute, around the clock.
	sizeEvents: {"events", 1 << 30, leastSize, func(s Sizes) int64 { return s.Events }},
	// A hundred thousand commands, which is the most, of 1.3 KiB; or a hundred of 1 MiB.
	sizeCommands: {"commands", 128 << 20, leastSize, func(s Sizes) int64 { return s.Commands }},
	// Twice what the queue holds, since a result repeats an answer of factro: a full queue can be settled.
	sizeResults: {"results", 256 << 20, leastSize, func(s Sizes) int64 { return s.Results }},
	// Twice what the queue holds, as well: each of its commands can die.
	sizeDead: {"dead", 256 << 20, leastSize, func(s Sizes) int64 { return s.Dead }},
	// A record is about 1 KiB, with a large answer 20 KiB.
	sizeLedger: {"ledger", 256 << 20, leastSize, func(s Sizes) int64 { return s.Ledger }},
	// What strangers can fill with files within a week, and with answers within ten minutes.
	sizeFiles:   {"files", 1 << 30, leastSize, func(s Sizes) int64 { return s.Files }},
	sizeAnswers: {"answers", 512 << 20, leastSize, func(s Sizes) int64 { return s.Answers }},
	// As much as the dead letters whose originals it keeps.
	sizeOriginals: {"originals", 256 << 20, leastSize, func(s Sizes) int64 { return s.Originals }},
	// Ten thousand advisories of less than 1 KiB. They are read at once.
	sizeAdvisories: {"", 8 << 20, 1 << 20, nil},
	// One entry for each cloud, which holds what was found of late.
	sizeReconcile: {"", 16 << 20, 1 << 20, nil},
}

func (s size) setting() string {
	if sizes[s].name == "" {
		return ""
	}
	return "nats.max_bytes." + sizes[s].name
}

// most is the size that is wanted.
func (s size) most(set Sizes) int64 {
	if f := sizes[s].set; f != nil && f(set) != 0 {
		return f(set)
	}
	return sizes[s].most
}

// DefaultSizes are the sizes of who says nothing else.
func DefaultSizes() Sizes {
	var none Sizes
	return Sizes{
		Events: sizeEvents.most(none), Commands: sizeCommands.most(none), Results: sizeResults.most(none), Dead: sizeDead.most(none),
		Ledger: sizeLedger.most(none), Files: sizeFiles.most(none), Answers: sizeAnswers.most(none),
		Originals: sizeOriginals.most(none),
	}
}

func (s Sizes) validate() error {
	var errs []error
	for kind := sizeEvents; kind <= sizeReconcile; kind++ {
		if n := kind.most(s); n < sizes[kind].least {
			errs = append(errs, fmt.Errorf("%s: %d bytes are less than %d", kind.setting(), n, sizes[kind].least))
		}
	}
	return errors.Join(errs...)
}

// createTimeout is how long the broker may take to make a stream: in a cluster it elects a leader first.
const createTimeout = 5 * time.Second

// withRoom has a stream or bucket made with the size that it should have, or with its share of what room there is, and with a
// quarter of that again and again as long as there is no room. made says whether this call made it, and not
// somebody else.
func (b *Bus) withRoom(ctx context.Context, what string, s size, create func(context.Context, int64) error) (made bool, _ error) {
	wanted, least := s.most(b.cfg.MaxBytes), sizes[s].least
	expected := b.share(wanted, least)
	for bytes := expected; ; {
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		err := create(attempt, bytes)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse), errors.Is(err, jetstream.ErrBucketExists):
			return false, nil
		case err == nil && bytes < expected:
			b.log.WarnContext(ctx, "NATS has little room, so this is smaller than it should be; it may forget before its time, or refuse what is new earlier",
				"made", what, "bytes", bytes, "wanted", wanted, "setting", s.setting())
			return true, nil
		case err == nil:
			return true, nil
		case !isNoRoom(err), outOfStreams(err):
			return false, withSetting(err, s)
		case bytes == least && s.setting() == "":
			return false, fmt.Errorf("%s: NATS has no room for %d bytes: %w", what, least, withSetting(err, s))
		case bytes == least:
			return false, fmt.Errorf("%s: NATS has no room for %d bytes, the least that it needs; give NATS more room (max_file_store, or the account's limit), "+
				"or make %s and its like smaller: %w", what, least, s.setting(), withSetting(err, s))
		}
		bytes = max(bytes/4, least)
	}
}

// share is what of a size may be had: all of it unless there was too little room.
func (b *Bus) share(wanted, least int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shares == 0 {
		return wanted
	}
	return max(int64(float64(wanted)*b.shares), least)
}

// measureRoom finds out whether there is room for all that is missing, by reserving it for a moment, and else what share of it
// there is room for: whoever is made last is not to be left with nothing. again says that another bridge measured
// meanwhile, so that what is missing has to be looked at once more.
func (b *Bus) measureRoom(ctx context.Context, looks map[string]look) (again bool) {
	total := int64(0)
	for cloud, l := range looks {
		for _, s := range l.missing {
			total += s.most(b.cfg.MaxBytes)
		}
		if len(l.missing) == len(streams(b.cfg.Prefix, cloud)) { // of a new cloud the rest is missing, too
			for _, s := range []size{sizeFiles, sizeAnswers, sizeOriginals, sizeAdvisories} {
				total += s.most(b.cfg.MaxBytes)
			}
		}
	}
	if total > 0 {
		total += sizeReconcile.most(b.cfg.MaxBytes) // one for all clouds; at most this much too much
	}
	share := 0.0
	switch room := total; {
	case total > 0:
		if room, again = b.reserve(ctx, total); again {
			return true
		}
		if room < total {
			share = float64(room) / float64(total)
		}
	case b.cfg.Manage:
		_, _ = b.strangeProbe(ctx, probeLife) // one that a crash has left is deleted, even if nothing is to be made
	}
	text := ""
	if share > 0 {
		text = fmt.Sprintf("%.0f%% of %d MiB", 100*share, total>>20)
	}
	if b.isNews("room", text) {
		b.log.WarnContext(ctx, "NATS has too little room for the streams and buckets that are missing, so each gets a share of its size; they may forget before their time, or refuse what is new earlier",
			"share", text, "setting", "nats.max_bytes")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shares = share
	return false
}

const (
	// probeLife is how long a probe may be there. One that is older was left by a crash: reserving takes one request, and
	// deleting another.
	probeLife = 4 * createTimeout
	// probePause is how long to wait for another bridge's probe to go.
	probePause = 50 * time.Millisecond
)

func (b *Bus) probeName() string { return oldName(b.cfg.Prefix, "ROOM") }

// reserve returns how much can be reserved: all of it, or a half of it, and so on. waited says that another bridge held
// some of it meanwhile, and that this one has waited until it was gone.
func (b *Bus) reserve(ctx context.Context, bytes int64) (room int64, waited bool) {
	for ; bytes > leastSize; bytes /= 2 {
		err := b.probe(ctx, bytes)
		for ctx.Err() == nil && (isNoRoom(err) || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse)) {
			if there, _ := b.strangeProbe(ctx, probeLife); !there {
				break
			}
			waited = true
			select {
			case <-ctx.Done():
			case <-time.After(probePause):
			}
		}
		if waited {
			return 0, true
		}
		if !isNoRoom(err) { // it was reserved, or whoever makes the streams hears why not
			return bytes, false
		}
	}
	return bytes, false
}

// probe reserves room and gives it back.
func (b *Bus) probe(ctx context.Context, bytes int64) error {
	attempt, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	_, err := b.js.CreateStream(attempt, jetstream.StreamConfig{
		Name: b.probeName(), Description: "Measures for a moment how much room there is", Subjects: []string{string(b.cfg.Prefix) + ".room"},
		// The name of who made it: the same configuration twice would be one stream, that of both.
		Metadata: map[string]string{"owner": rand.Text()},
		MaxBytes: bytes, Replicas: b.cfg.Replicas, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return err //nolint:wrapcheck // it is looked at, and told by nobody
	}
	return b.js.DeleteStream(ctx, b.probeName()) //nolint:wrapcheck // as above
}

// strangeProbe says whether another bridge's probe is there, and deletes one that is older than a life: a crash has left it.
func (b *Bus) strangeProbe(ctx context.Context, life time.Duration) (there bool, _ error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	probe, err := b.js.Stream(attempt, b.probeName())
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return false, nil
	case err != nil:
		return false, err //nolint:wrapcheck // as above
	}
	info := probe.CachedInfo()
	if info.TimeStamp.Sub(info.Created) < life { // both by the server's clock
		return true, nil
	}
	return true, b.js.DeleteStream(attempt, b.probeName()) //nolint:wrapcheck // as above
}
