package topology

import (
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// Sizes bounds, in bytes, what each cloud's streams and buckets may hold. A zero stands for the default.
type Sizes struct {
	Events, Commands, Results, Dead, Ledger, Files, Answers, Originals, Delayed, Keys, State, Changes int64
}

// Kind is a kind of stream or bucket. Each cloud has one of each kind, except Control and Reconcile, which all clouds
// share. State and Changes are only there with a mirror.
type Kind int

const (
	Events Kind = iota
	Commands
	Results
	Dead
	Ledger
	Files
	Answers
	Originals
	Delayed
	Keys
	State
	Changes
	Advisories
	Bridge
	Control
	Reconcile
)

// LeastSize is what a stream that an operator can size gets at least: the largest message of a usual server and its
// headers, several times.
const LeastSize = 4 << 20

// kinds says for each kind its name in the configuration, how much it holds and how that is set. JetStream reserves all of it
// at once, for each cloud.
var kinds = map[Kind]struct {
	name        string // below nats.streams, and nats.max_bytes if set is there
	most, least int64
	set         func(Sizes) int64
}{
	// Half a million events of 2 KiB: thirty days at more than ten a minute, around the clock.
	Events: {"events", 1 << 30, LeastSize, func(s Sizes) int64 { return s.Events }},
	// A hundred thousand commands, which is the most, of 1.3 KiB; or a hundred of 1 MiB.
	Commands: {"commands", 128 << 20, LeastSize, func(s Sizes) int64 { return s.Commands }},
	// Twice what the queue holds, since a result repeats an answer of factro: a full queue can be settled.
	Results: {"results", 256 << 20, LeastSize, func(s Sizes) int64 { return s.Results }},
	// Twice what the queue holds, as well: each of its commands can die.
	Dead: {"dead", 256 << 20, LeastSize, func(s Sizes) int64 { return s.Dead }},
	// A record is about 1 KiB, with a large answer 20 KiB.
	Ledger: {"ledger", 256 << 20, LeastSize, func(s Sizes) int64 { return s.Ledger }},
	// What strangers can fill with files within a week, and with answers within ten minutes.
	Files:   {"files", 1 << 30, LeastSize, func(s Sizes) int64 { return s.Files }},
	Answers: {"answers", 512 << 20, LeastSize, func(s Sizes) int64 { return s.Answers }},
	// As much as the dead letters whose originals it keeps.
	Originals: {"originals", 256 << 20, LeastSize, func(s Sizes) int64 { return s.Originals }},
	// Fifty thousand commands of 1.3 KiB that wait for their time.
	Delayed: {"delayed", 64 << 20, LeastSize, func(s Sizes) int64 { return s.Delayed }},
	// A key takes two entries of about 300 bytes: a hundred thousand keys.
	Keys: {"keys", 64 << 20, LeastSize, func(s Sizes) int64 { return s.Keys }},
	// A task takes about 1 KiB: four hundred thousand objects.
	State: {"state", 512 << 20, LeastSize, func(s Sizes) int64 { return s.State }},
	// Half a million changes of some fields each.
	Changes: {"changes", 512 << 20, LeastSize, func(s Sizes) int64 { return s.Changes }},
	// Ten thousand advisories of less than 1 KiB. They are read at once.
	Advisories: {"advisories", 8 << 20, 1 << 20, nil},
	// Ten thousand events of about 1 KiB, which say that something changed.
	Bridge: {"bridge", 16 << 20, 1 << 20, nil},
	// Some entries of less than 1 KiB for each cloud, each with its last values.
	Control: {"control", 4 << 20, 1 << 20, nil},
	// One entry for each cloud, which holds what was found of late.
	Reconcile: {"reconcile", 16 << 20, 1 << 20, nil},
}

// Name is what the configuration calls the kind, below nats.streams.
func (k Kind) Name() string { return kinds[k].name }

// Setting is the path of the kind's size in the configuration, or "" if it is fixed.
func (k Kind) Setting() string {
	if kinds[k].set == nil {
		return ""
	}
	return "nats.max_bytes." + kinds[k].name
}

// Size is the number of bytes that is wanted.
func (k Kind) Size(set Sizes) int64 {
	if f := kinds[k].set; f != nil && f(set) != 0 {
		return f(set)
	}
	return kinds[k].most
}

// Least is the number of bytes without which the kind is of no use.
func (k Kind) Least() int64 { return kinds[k].least }

// DefaultSizes are the sizes of who says nothing else.
func DefaultSizes() Sizes {
	var none Sizes
	return Sizes{
		Events: Events.Size(none), Commands: Commands.Size(none), Results: Results.Size(none), Dead: Dead.Size(none),
		Ledger: Ledger.Size(none), Files: Files.Size(none), Answers: Answers.Size(none),
		Originals: Originals.Size(none), Delayed: Delayed.Size(none), Keys: Keys.Size(none),
		State: State.Size(none), Changes: Changes.Size(none),
	}
}

// Validate says which sizes are too small.
func (s Sizes) Validate() error {
	var errs []error
	for k := Events; k <= Reconcile; k++ {
		if n := k.Size(s); n < k.Least() {
			errs = append(errs, fmt.Errorf("%s: %s is less than %d", k.Setting(), plural.Of(n, "byte"), k.Least()))
		}
	}
	return errors.Join(errs...)
}
