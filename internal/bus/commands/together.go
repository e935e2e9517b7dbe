package commands

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Batcher is a Worker that can carry out several commands by one call.
type Batcher interface {
	// BatchKey is what commands have in common that one call can carry out; empty for one that is carried out alone.
	BatchKey(cmd events.Command) string
	// BatchLimit is how many commands with a key may go with one call now.
	BatchLimit(key string) int
	// Together returns what handles so many commands of one key, in the order of their elements.
	Together(n int) []Member
}

// Member handles one of several commands that are carried out together.
type Member interface {
	handler
	// Leave says that its command is done, or was not handled: the others do not wait for it any more.
	Leave()
}

// company carries out commands together with others.
type company struct{ *cloudQueue }

// withOthers returns a command and those that are carried out together with it, in the order of the stream. Each is the first one of
// its lane, so no lane has two of them.
func (q company) withOthers(it *index.Item) []*index.Item {
	all := []*index.Item{it}
	if w, ok := q.worker.(Batcher); ok && it.Batch != "" {
		all = append(all, index.Along(q.index, it, w.BatchLimit(it.Batch)-1)...)
		slices.SortFunc(all, func(a, b *index.Item) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	return all
}

// carryOutAll has commands handled together. It returns when none is in flight any more.
func (q company) carryOutAll(stopping context.Context, all []*index.Item) {
	w, ok := q.worker.(Batcher)
	if !ok || len(all) == 1 {
		q.carryOut(stopping, all[0], q.worker)
		return
	}
	var inFlight sync.WaitGroup
	for i, m := range w.Together(len(all)) {
		inFlight.Go(func() {
			defer m.Leave()
			q.carryOut(stopping, all[i], m)
		})
	}
	inFlight.Wait()
}
