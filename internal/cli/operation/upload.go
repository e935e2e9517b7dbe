package operation

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// upload makes the value of a command's field from a local file.
type upload func(path string) (any, error)

// maxInline is the largest file that is sent inside the command. Commands in the stream should be small, and other fields need space
// too.
const maxInline = 256 << 10

// newUpload returns a function that uploads a file: a small file goes into the command, a larger one into the object store. watched
// shows the progress. id is the id of the command, or "" for a new one.
func newUpload(ctx context.Context, client *client.Client, p events.Prefix, cloud, id string, watched *progress.Task) upload {
	return func(path string) (any, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("file: %w", err)
		}
		defer func() { _ = file.Close() }() // read only
		out := map[string]any{"name": filepath.Base(path), "contentType": mime.TypeByExtension(filepath.Ext(path))}
		most := min(maxInline, client.MaxData()/2) // base64 makes four bytes of three
		begin := bufio.NewReaderSize(file, int(most)+1)
		switch content, err := begin.Peek(int(most) + 1); err {
		case nil: // the file is too large for the command
			name, err := objectName(file, id)
			if err != nil {
				return nil, fmt.Errorf("file: %w", err)
			}
			if id != "" {
				begin.Reset(file) // the file is at its beginning again
			}
			var total int64 // of a pipe it is unknown
			if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
				total = info.Size()
			}
			watched.Begin("upload "+filepath.Base(path), progress.Bytes, total)
			ref, err := client.Upload(ctx, p, cloud, name, watched.Reader(begin))
			if err != nil {
				return nil, fmt.Errorf("file: %w", err)
			}
			out["object"] = ref
		case io.EOF:
			out["data"] = base64.StdEncoding.EncodeToString(content)
		default:
			return nil, fmt.Errorf("file: %w", err)
		}
		return out, nil
	}
}

// objectName is the name of a file in the object store. It is part of the command's data, and a command that is sent again with the
// same id must have the same data. So with an id, the name is a hash of the id and the content.
func objectName(file *os.File, id string) (string, error) {
	if id == "" {
		return uuid.NewString(), nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("with --id the file is read twice, which this file does not allow: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q\n", id)
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
