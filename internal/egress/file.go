package egress

import (
	"context"
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/egress/content"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// openFile opens the file that the call sends, if it sends one.
func (w *Worker) openFile(ctx context.Context, j *job) finding {
	ctx = persist.Finishing(ctx)
	var err error
	if j.file, err = content.Open(ctx, w.files, j.call.Upload); err == nil {
		return goOn
	}
	j.fileErr = err
	if err := w.recordNoEffect(ctx, j); err != nil {
		return j.fail(err)
	}
	return fileUnread
}

// retryFile decides about a command whose file could not be found or opened. Nothing was called. The worker keeps the command and
// tries again, but not for ever: without rights on the object store the command would block all commands behind it.
func (w *Worker) retryFile(ctx context.Context, j *job) finding {
	err := j.fileErr
	if errors.Is(err, objects.ErrNoFile) {
		return j.reject(noSuchFile(j.call.Upload.Object, err))
	}
	if ctx.Err() != nil {
		return j.stop(fmt.Errorf("stopped before the call: %w", err))
	}
	if j.fileFailures++; j.fileFailures >= maxAttempts {
		return j.conclude(events.Dead, coreapi.Answer{}, exhausted(
			fmt.Sprintf("the file could not be read, after %s, and nothing was called: %s", plural.Of(j.fileFailures, "attempt"), err), coreapi.Answer{}))
	}
	w.log.WarnContext(ctx, "file of a command cannot be read; retrying", "cloud", w.cloud, "event_id", j.cmd.Event.ID(), "error", err)
	if coreapi.Sleep(ctx, delivery.Backoff(j.fileFailures)) != nil {
		return j.stop(fmt.Errorf("stopped before the call: %w", err))
	}
	if j.dryRun {
		return onlyDryRun
	}
	return goOn
}
