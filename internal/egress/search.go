package egress

import (
	"context"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/egress/search"
)

// reads makes the reads that a command needs.
func (w *Worker) reads(j *job) search.Reads {
	return search.Reads{API: w.api, AwaitSlot: func(ctx context.Context) error {
		if err := w.awaitSlot(ctx, &part{job: j, ctx: ctx}); err != nil {
			return err
		}
		return commands.MayCall(ctx)
	}, Finishing: persist.Finishing}
}

// findCreated searches once for the object of a create.
func (w *Worker) findCreated(ctx context.Context, j *job) (search.Candidates, error) {
	made, err := w.madeByOthers(ctx, j)
	if err != nil {
		return search.Candidates{}, err
	}
	return w.reads(j).Find(ctx, search.Create{Op: j.op, Data: j.data, StartedAt: j.record.StartedAt, Dated: j.record.Dated, Made: made})
}

// madeByOthers returns the objects that other commands have made within the doubt window. It needs the right to read the ledger as
// a stream.
func (w *Worker) madeByOthers(ctx context.Context, j *job) (map[string]bool, error) {
	for n := 1; ; n++ {
		made, err := w.ledger.Made(persist.Finishing(ctx), w.cloud, j.record.StartedAt.Add(-search.DoubtWindow-coreapi.WideSkew))
		if err == nil || n == maxAttempts {
			return made, err
		}
		if coreapi.Sleep(ctx, delivery.Backoff(n)) != nil {
			return nil, search.ErrStopped
		}
	}
}
