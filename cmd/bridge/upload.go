package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// upload makes the value of a command's field of a file on this machine.
type upload func(path string) (any, error)

// inlineMost bounds a file that travels in the command itself: what the stream keeps of a command should be small, and
// other properties need some room as well.
const inlineMost = 256 << 10

// newUpload returns what makes an upload of a file: a small one goes along in the command, a larger one through the object
// store, which watched is told of.
func newUpload(ctx context.Context, client *bus.Client, p events.Prefix, cloud string, watched *progress.Task) upload {
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
			var total int64 // of a pipe it is unknown
			if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
				total = info.Size()
			}
			watched.Begin("upload "+filepath.Base(path), progress.Bytes, total)
			ref, err := client.Upload(ctx, p, cloud, uuid.NewString(), watched.Reader(begin))
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
