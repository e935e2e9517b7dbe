package egress

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// file is the content of one upload, for one attempt.
type file struct {
	size int64
	// first is the content, opened before the call, so that what is wrong with its source stops no more than this command.
	first io.ReadCloser
	// open opens the content anew, if the client has to send it once more.
	open   func() (io.ReadCloser, error)
	failed atomic.Pointer[error]
}

// failure is what went wrong with the content while it was read.
func (f *file) failure() error {
	if f == nil {
		return nil
	}
	if err := f.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// close lets go of the content. The client does so too, but only if the call was made.
func (f *file) close() {
	if f != nil {
		_ = f.first.Close() // it was only read
	}
}

// find looks for the object that an upload refers to; there is none if it holds its content itself.
func (w *Worker) find(ctx context.Context, u *translate.Upload) (bus.File, error) {
	if u == nil || u.Object == nil {
		return bus.File{}, nil
	}
	return w.files.File(ctx, u.Object.Bucket, u.Object.Name)
}

// file opens the content of an upload. It returns nil if there is none.
func (w *Worker) file(ctx context.Context, u *translate.Upload) (*file, error) {
	if u == nil {
		return nil, nil
	}
	object, err := w.find(ctx, u)
	if err != nil {
		return nil, err
	}
	f := &file{size: object.Size, open: func() (io.ReadCloser, error) { return object.Open(ctx) }}
	if u.Object == nil {
		f.size = u.Size
		f.open = func() (io.ReadCloser, error) {
			return io.NopCloser(base64.NewDecoder(base64.StdEncoding, strings.NewReader(u.Data))), nil
		}
	}
	f.first, err = f.open()
	return f, err
}

// missed decides about a command whose file could not be found or opened, so that nothing was called. It is tried again for
// a while, in the worker's hand; not for ever, since without rights on the object store it would hold up all commands
// behind it. over tells that the command has its verdict.
func (w *Worker) missed(ctx, stopping context.Context, j *job, err error) (over bool, verdict error) {
	if errors.Is(err, bus.ErrNoFile) {
		return true, w.end(ctx, j, events.Rejected, answer{}, missing(j.call.Upload.Object, err))
	}
	if stopping.Err() != nil {
		return true, commands.RetryAfter(fmt.Errorf("stopped before the call: %w", err), 0)
	}
	if j.misses++; j.misses >= maxAttempts {
		return true, w.end(ctx, j, events.Dead, answer{}, &events.Error{
			Code:    events.CodeExhausted,
			Message: fmt.Sprintf("the file could not be read, after %s, and nothing was called: %s", plural.Of(j.misses, "attempt"), err),
		})
	}
	w.log.WarnContext(ctx, "file of a command cannot be read; trying again", "cloud", w.cfg.Cloud, "event_id", j.cmd.Event.ID(), "error", err)
	if sleep(stopping, backoff(j.misses)) != nil {
		return true, commands.RetryAfter(fmt.Errorf("stopped before the call: %w", err), 0)
	}
	return false, nil
}

// setForm gives a request a multipart body with one part named file, which is written while it is sent.
func setForm(req *http.Request, u *translate.Upload, f *file, alive func()) error {
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	_, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {disposition(u.Name)}, "Content-Type": {u.ContentType},
	})
	if err != nil {
		return fmt.Errorf("part of the upload: %w", err)
	}
	before := bytes.Clone(head.Bytes())
	if err := w.Close(); err != nil {
		return fmt.Errorf("end of the upload: %w", err)
	}
	after := head.Bytes()[len(before):]

	body := func(content io.ReadCloser) io.ReadCloser {
		return &form{
			Reader: io.MultiReader(bytes.NewReader(before), &source{ctx: req.Context(), r: content, file: f, left: f.size, alive: alive}, bytes.NewReader(after)),
			Closer: content,
		}
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.ContentLength = int64(len(before)) + f.size + int64(len(after))
	req.Body = body(f.first)
	req.GetBody = func() (io.ReadCloser, error) {
		content, err := f.open()
		if err != nil {
			return nil, err
		}
		return body(content), nil
	}
	return nil
}

// form is a body made of several readers, one of which is to be closed.
type form struct {
	io.Reader
	io.Closer
}

// source is the content of a file while it is sent.
type source struct {
	ctx   context.Context //nolint:containedctx // that of the request; a Reader takes none
	r     io.Reader
	file  *file
	left  int64 // of the size that the request announces
	alive func()
}

// errNotItsSize says that a file is longer or shorter than the object store says.
var errNotItsSize = errors.New("its size is not the one in the object store's index")

// Read returns an error when the request has ended and the content does not come: the client waits for its return. That it
// did not come is the fault of its source, and not of factro.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for n == 0 && err == nil && len(p) > 0 {
		if s.ctx.Err() != nil {
			err = context.Cause(s.ctx)
			break
		}
		n, err = s.r.Read(p)
	}
	if n > 0 {
		s.alive()
	}
	// What goes on would be cut off at the announced length, and factro could take the beginning for the whole: the end of the form
	// is not to follow.
	if s.left -= int64(n); s.left < 0 || err == io.EOF && s.left > 0 { //nolint:errorlint // as below
		n, err = 0, errNotItsSize
	}
	if err != nil && err != io.EOF { //nolint:errorlint // the end of a reader is exactly this
		err = fmt.Errorf("read the file: %w", err)
		s.file.failed.Store(&err)
	}
	return n, err
}
