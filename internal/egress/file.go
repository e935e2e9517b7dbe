package egress

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/upload"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// findObject finds the object that an upload refers to. It returns a zero File if the upload has its content inline.
func (w *Worker) findObject(ctx context.Context, u *translate.Upload) (objects.File, error) {
	if u == nil || u.Object == nil {
		return objects.File{}, nil
	}
	return w.files.File(ctx, u.Object.Bucket, u.Object.Name)
}

// openFile opens the file that the call sends, if it sends one.
func (w *Worker) openFile(ctx context.Context, j *job) finding {
	ctx = finishing(ctx)
	var err error
	if j.file, err = w.openContent(ctx, j.call.Upload); err == nil {
		return goOn
	}
	j.fileErr = err
	if err := w.recordNoEffect(ctx, j); err != nil {
		return j.fail(err)
	}
	return fileUnread
}

// openContent opens the content of an upload. It returns nil if the call sends no file.
func (w *Worker) openContent(ctx context.Context, u *translate.Upload) (*upload.File, error) {
	if u == nil {
		return nil, nil
	}
	object, err := w.findObject(ctx, u)
	if err != nil {
		return nil, err
	}
	f := &upload.File{Size: object.Size, Open: func() (io.ReadCloser, error) { return object.Open(ctx) }}
	if u.Object == nil {
		f.Size = u.Size
		f.Open = func() (io.ReadCloser, error) {
			return io.NopCloser(base64.NewDecoder(base64.StdEncoding, strings.NewReader(u.Data))), nil
		}
	}
	f.First, err = f.Open()
	return f, err
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
