package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/plural"
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
			errs = append(errs, fmt.Errorf("%s: %s is less than %d", kind.setting(), plural.Of(n, "byte"), sizes[kind].least))
		}
	}
	return errors.Join(errs...)
}

// createTimeout is how long the broker may take to make a stream: in a cluster it elects a leader first.
const createTimeout = 5 * time.Second

// withRoom has a stream or bucket made with the size that it should have, or with its share of what room there is, and with a
// quarter of that again and again as long as there is no room. While another bridge shares out the room, or this one measures
// it, it waits. made says whether this call made it, and not somebody else.
func (b *Bus) withRoom(ctx context.Context, what string, s size, create func(context.Context, int64) error) (made bool, _ error) {
	b.measuring.RLock()
	defer b.measuring.RUnlock()
	b.awaitProbe(ctx)
	wanted, least := s.most(b.cfg.MaxBytes), sizes[s].least
	share := b.share(wanted, least)
	for bytes := share; ; {
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		err := create(attempt, bytes)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse), errors.Is(err, jetstream.ErrBucketExists):
			return false, nil
		case err == nil && bytes < share: // else the share was told, for all of them at once
			b.log.WarnContext(ctx, "NATS has less room than it had a moment ago, so this is smaller than it should be; it may forget before its time, or refuse what is new earlier",
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
