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

// find looks for the object that an upload refers to; there is none if it holds its content itself.
func (w *Worker) find(ctx context.Context, u *translate.Upload) (objects.File, error) {
	if u == nil || u.Object == nil {
		return objects.File{}, nil
	}
	return w.files.File(ctx, u.Object.Bucket, u.Object.Name)
}

// open opens the file that the call sends, if it sends one.
func (w *Worker) open(ctx context.Context, j *job) finding {
	ctx = finishing(ctx)
	var err error
	if j.file, err = w.content(ctx, j.call.Upload); err == nil {
		return goOn
	}
	j.unread = err
	if err := w.release(ctx, j); err != nil {
		return j.fail(err)
	}
	return unread
}

// content opens the content of an upload. It returns nil if there is none.
func (w *Worker) content(ctx context.Context, u *translate.Upload) (*upload.File, error) {
	if u == nil {
		return nil, nil
	}
	object, err := w.find(ctx, u)
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

// awaitFile decides about a command whose file could not be found or opened, so that nothing was called. It is tried again
// for a while, in the worker's hand; not for ever, since without rights on the object store it would hold up all commands
// behind it.
func (w *Worker) awaitFile(ctx context.Context, j *job) finding {
	err := j.unread
	if errors.Is(err, objects.ErrNoFile) {
		return j.reject(noSuchFile(j.call.Upload.Object, err))
	}
	if ctx.Err() != nil {
		return j.stop(fmt.Errorf("stopped before the call: %w", err))
	}
	if j.misses++; j.misses >= maxAttempts {
		return j.conclude(events.Dead, coreapi.Answer{}, exhausted(
			fmt.Sprintf("the file could not be read, after %s, and nothing was called: %s", plural.Of(j.misses, "attempt"), err), coreapi.Answer{}))
	}
	w.log.WarnContext(ctx, "file of a command cannot be read; trying again", "cloud", w.cloud, "event_id", j.cmd.Event.ID(), "error", err)
	if coreapi.Sleep(ctx, delivery.Backoff(j.misses)) != nil {
		return j.stop(fmt.Errorf("stopped before the call: %w", err))
	}
	if j.dryRun {
		return rehearse
	}
	return goOn
}
