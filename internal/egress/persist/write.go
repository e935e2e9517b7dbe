package persist

import (
	"context"
	"errors"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// finalWriteGrace is how long the last writes may take once the bridge has to stop.
const finalWriteGrace = time.Second

// UntilStopped repeats a write that must not be lost, such as the outcome of a call, while NATS is unavailable. It ends
// shortly after ctx, when the bridge has to stop, so that an answer that arrives during the shutdown is still written. It also
// ends when retrying is useless: the broker refuses the write for good, or has refused everything for so long that the commands
// behind would be blocked.
func UntilStopped(ctx context.Context, do func(context.Context) error) error {
	for n := 1; ctx.Err() == nil; n++ {
		if err := do(ctx); isFinal(err) {
			return err
		}
		_ = coreapi.Sleep(ctx, delivery.Backoff(n)) // an error means that ctx has ended
	}
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer time.AfterFunc(finalWriteGrace, cancel).Stop()
	for n := 1; ; n++ {
		err := do(last) // also what was on its way when ctx ended: to write it twice changes nothing
		if isFinal(err) || coreapi.Sleep(last, delivery.Backoff(n)) != nil {
			return err
		}
	}
}

func isFinal(err error) bool {
	return err == nil || publish.Permanent(err) || errors.Is(err, publish.ErrRefusing) || errors.Is(err, ledger.ErrTaken)
}

// Shrinking calls do with a result. If the broker refuses it for good, it calls do without factro's answer, and then with the
// bare outcome.
func Shrinking(r events.Result, do func(events.Result) error) error {
	err := do(r)
	if r.Response != nil && publish.Permanent(err) {
		r.Response, r.Omitted = nil, true
		err = do(r)
	}
	if publish.Permanent(err) {
		err = do(coreapi.Bare(r))
	}
	return err
}
