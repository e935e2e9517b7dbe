package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"sync/atomic"

	"github.com/factro-bridge/factro-bridge/internal/filename"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// File is the content of one upload, for one attempt.
type File struct {
	Size int64
	// First is the content, opened before the call, so that what is wrong with its source stops no more than this command.
	First io.ReadCloser
	// Open opens the content again, if the client has to send it once more.
	Open   func() (io.ReadCloser, error)
	failed atomic.Pointer[error]
}

// Failure is what went wrong with the content while it was read.
func (f *File) Failure() error {
	if f == nil {
		return nil
	}
	if err := f.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Close lets go of the content. The client does so too, but only if the call was made.
func (f *File) Close() {
	if f != nil {
		_ = f.First.Close() // it was only read
	}
}

// SetBody gives a request a multipart body with one part named file. alive hears of each part of the content that is sent.
func SetBody(req *http.Request, u *translate.Upload, f *File, alive func()) error {
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	_, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {filename.Disposition(u.Name)}, "Content-Type": {u.ContentType},
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
			Reader: io.MultiReader(bytes.NewReader(before), &source{ctx: req.Context(), r: content, file: f, left: f.Size, alive: alive}, bytes.NewReader(after)),
			Closer: content,
		}
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.ContentLength = int64(len(before)) + f.Size + int64(len(after))
	req.Body = body(f.First)
	req.GetBody = func() (io.ReadCloser, error) {
		content, err := f.Open()
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
	file  *File
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
