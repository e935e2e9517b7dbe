package bridge

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// How much garbage there may be before Go's collector runs, in percent of what is in use. Go's default collects after each few MiB in
// a process as small as this one.
const (
	morePercent    = 400
	defaultPercent = 100
	percentStep    = 50 // each change stops the program for a moment
	// mostGarbage bounds what more than the default percentage may add, in bytes.
	mostGarbage = 64 << 20
)

// percentFor is how much garbage may be beside so many bytes in use.
func percentFor(live uint64) int {
	return int(max(defaultPercent, min(morePercent, mostGarbage*100/max(live, 1)/percentStep*percentStep)))
}

// collectLess has the collector run less often, unless GOGC says how often. A memory limit has it run earlier all the same.
var collectLess = sync.OnceFunc(func() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collection{percent: morePercent, live: [1]metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	debug.SetGCPercent(c.percent)
	runtime.SetFinalizer(c, (*collection).ended)
})

// collection is garbage, so that its finalizer runs after each collection.
type collection struct {
	percent int
	live    [1]metrics.Sample
}

// ended adjusts the percentage to what is in use.
func (c *collection) ended() {
	metrics.Read(c.live[:])
	if want := percentFor(c.live[0].Value.Uint64()); want != c.percent {
		c.percent = want
		debug.SetGCPercent(want)
	}
	runtime.SetFinalizer(c, (*collection).ended)
}
