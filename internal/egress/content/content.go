// Package content opens what uploads send.
//
// In: an upload, and the files that commands refer to. Out: its content, of the message or of an object store. It never changes a file.
package content

import (
	"context"
	"encoding/base64"
	"io"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/upload"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// Files has the files that commands refer to.
type Files interface {
	// File returns a file of a bucket, or objects.ErrNoFile.
	File(ctx context.Context, bucket, name string) (objects.File, error)
}

// Find finds the object that an upload refers to. It returns a zero File if the upload has its content inline.
func Find(ctx context.Context, files Files, u *translate.Upload) (objects.File, error) {
	if u == nil || u.Object == nil {
		return objects.File{}, nil
	}
	return files.File(ctx, u.Object.Bucket, u.Object.Name)
}

// Open opens the content of an upload. It returns nil if the call sends no file.
func Open(ctx context.Context, files Files, u *translate.Upload) (*upload.File, error) {
	if u == nil {
		return nil, nil
	}
	object, err := Find(ctx, files, u)
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
