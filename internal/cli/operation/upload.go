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

// upload makes the value of a command's field of a file on this machine.
type upload func(path string) (any, error)

// inlineMost bounds a file that travels in the command itself: what the stream keeps of a command should be small, and
// other properties need some room as well.
const inlineMost = 256 << 10

// newUpload returns what makes an upload of a file: a small one goes along in the command, a larger one through the object
// store, and watched shows the progress. id is that of the command, or "" for a new one.
func newUpload(ctx context.Context, client *client.Client, p events.Prefix, cloud, id string, watched *progress.Task) upload {
	return func(path string) (any, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("file: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		out := map[string]any{"name": filepath.Base(path), "contentType": mime.TypeByExtension(filepath.Ext(path))}
		most := min(inlineMost, client.MaxData()/2) // base64 makes four bytes of three
		begin := bufio.NewReaderSize(file, int(most)+1)
		switch content, err := begin.Peek(int(most) + 1); err {
		case nil: // there is more than may go along
			name, err := objectName(file, id)
			if err != nil {
				return nil, fmt.Errorf("file: %w", err)
			}
			if id != "" {
				begin.Reset(file) // it is at its beginning again
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

// objectName is the name of a file in the object store. The command's data has it, and a command that is sent again with its id has
// to have the same data: so with an id it is made of that and of the content.
func objectName(file *os.File, id string) (string, error) {
	if id == "" {
		return uuid.NewString(), nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("with --id it is read twice, which this one does not allow: %w", err)
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
