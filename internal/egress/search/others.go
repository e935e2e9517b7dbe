package search

import (
	"context"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// Records are the ledger's records of commands.
type Records interface {
	// TakeOver makes sure that only owner can finish the commands whose records were written since a time.
	TakeOver(ctx context.Context, cloud, owner string, since time.Time) error
	// Made returns the objects in the records that were written since a time.
	Made(ctx context.Context, cloud string, since time.Time) (map[string]bool, error)
}

// Others are the other commands that may have made what a search for the object of a create finds.
type Others struct {
	Ledger Records
	Cloud  string
	// Owner is the name in the ledger of whoever searches.
	Owner string
	// StartedAt is when the first call of the create was about to be made.
	StartedAt time.Time
	// Finishing returns the context for work that must finish once it has begun.
	Finishing func(ctx context.Context) context.Context
	// May says whether the commands of the cloud are still carried out here.
	May func(ctx context.Context) error
	// Await waits until the ledger knows what the creates have made that are carried out here.
	Await func(ctx context.Context) error
}

// Made returns the objects that commands have made within the doubt window. It needs the right to read the ledger as a stream.
func (o Others) Made(ctx context.Context) (made map[string]bool, err error) {
	err = o.try(ctx, func(ctx context.Context) (err error) {
		made, err = o.Ledger.Made(ctx, o.Cloud, o.since())
		return err
	})
	return made, err
}

// Drop leaves out of the equal objects what others have made, after it has made sure that the ledger knows it: the answer to an equal
// create may be on its way to this bridge, or to one that stood still and has not noticed that this one has taken over.
func (o Others) Drop(ctx context.Context, found *Candidates) error {
	if len(found.Equal) == 0 {
		return nil
	}
	if o.May(ctx) != nil {
		return ErrStopped
	}
	err := o.try(ctx, func(ctx context.Context) error { return o.Ledger.TakeOver(ctx, o.Cloud, o.Owner, o.since()) })
	if err != nil {
		return err
	}
	if o.Await(ctx) != nil {
		return ErrStopped
	}
	made, err := o.Made(ctx)
	found.drop(made)
	return err
}

func (o Others) since() time.Time { return o.StartedAt.Add(-DoubtWindow - coreapi.WideSkew) }

// try tries several times.
func (o Others) try(ctx context.Context, do func(context.Context) error) error {
	for n := 1; ; n++ {
		err := do(o.Finishing(ctx))
		if err == nil || n == MaxAttempts {
			return err
		}
		if coreapi.Sleep(ctx, delivery.Backoff(n)) != nil {
			return ErrStopped
		}
	}
}
