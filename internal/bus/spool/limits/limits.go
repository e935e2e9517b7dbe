package limits

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

const (
	file    = "limits.json"
	maxSize = 1 << 20 // bytes of it
)

// Saved are the limits that were written down last.
type Saved struct {
	mu    sync.Mutex
	saved topology.Limits
}

// Load reads those of a directory, none if it has no file of them.
func (l *Saved) Load(dir string) error {
	saved, err := Read(dir)
	l.Set(saved)
	return err
}

// Set sets them as if they had been written down.
func (l *Saved) Set(saved topology.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved = saved
}

// Now fills in what was not seen since the start.
func (l *Saved) Now(seen topology.Limits) topology.Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return seen.Or(l.saved)
}

// Save writes the limits into a directory if they have changed.
func (l *Saved) Save(dir string, seen topology.Limits) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := seen.Or(l.saved)
	maps.DeleteFunc(now.Messages, func(_ string, n int64) bool { return n <= 0 })
	if now.Payload == l.saved.Payload && maps.Equal(now.Messages, l.saved.Messages) {
		return nil
	}
	text, err := json.Marshal(now)
	if err == nil {
		err = writeWhole(filepath.Join(dir, file), text)
	}
	if err == nil {
		l.saved = now
	}
	return err
}

// Read returns the limits that the spool of a directory has seen, none if there is no spool or it saw none.
func Read(dir string) (l topology.Limits, err error) {
	if dir == "" {
		return l, nil
	}
	f, err := os.Open(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("spool: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err = errors.Join(err, f.Close()); err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err == nil && l.Payload < 0 {
		err = fmt.Errorf("max_payload is %d", l.Payload)
	}
	if err != nil {
		return topology.Limits{}, fmt.Errorf("spool: %s is not what the bridge wrote: %w", f.Name(), err)
	}
	return l, nil
}

// writeWhole writes a file that is whole at any time, also after a crash.
func writeWhole(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
