package egress

import (
	"context"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
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
	made, err := w.others(j).Made(ctx)
	if err != nil {
		return search.Candidates{}, err
	}
	return w.reads(j).Find(ctx, search.Create{Op: j.op, Data: j.data, StartedAt: j.record.StartedAt, Dated: j.record.Dated, Made: made})
}

// others are the commands that may have made what a search finds.
func (w *Worker) others(j *job) search.Others {
	return search.Others{
		Ledger: w.ledger, Cloud: w.cloud, Owner: w.id, StartedAt: j.record.StartedAt, Finishing: persist.Finishing,
		May: commands.MayCall, Await: func(ctx context.Context) error { return j.progress.AwaitCreates(ctx, j.op.Resource) },
	}
}
