package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	limitsFile = "limits.json"
	maxLimits  = 1 << 20 // bytes of that file
	// hopRoom is how much a message grows when it is published: its message id comes on top.
	hopRoom = 1 << 10
)

// errUnknownLimit says that nobody knows whether the broker will take a message.
var errUnknownLimit = errors.New("the largest message that NATS takes is not known yet, since it was never reached")

// savedLimits are the sizes that the broker took when they were written down last.
type savedLimits struct {
	mu    sync.Mutex
	saved topology.Limits
}

// now fills in what was not seen since the start.
func (l *savedLimits) now(seen topology.Limits) topology.Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return seen.Or(l.saved)
}

// save writes the sizes into a directory if they have changed.
func (l *savedLimits) save(dir string, seen topology.Limits) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := seen.Or(l.saved)
	maps.DeleteFunc(now.Messages, func(_ string, n int64) bool { return n <= 0 })
	if now.Payload == l.saved.Payload && maps.Equal(now.Messages, l.saved.Messages) {
		return nil
	}
	text, err := json.Marshal(now)
	if err == nil {
		err = writeWhole(filepath.Join(dir, limitsFile), text)
	}
	if err == nil {
		l.saved = now
	}
	return err
}

// Limits are the sizes that the broker takes, as they were seen last, also by an earlier process.
func (s *Spool) Limits() topology.Limits { return s.limits.now(s.conn.Limits()) }

// saveLimits writes down what the broker takes, for a start without it.
func (s *Spool) saveLimits(ctx context.Context) {
	if err := s.limits.save(s.cfg.Dir, s.conn.Limits()); err != nil {
		if skipped, due := s.samples.Due("limits", time.Now()); due {
			s.log.WarnContext(ctx, "the limits of NATS cannot be written down for a start without it", "error", err, "not_logged", skipped)
		}
	}
}

// fits says whether the broker will take a message that waits in the spool. What it would refuse must not be promised.
func (s *Spool) fits(cloud string, msg *nats.Msg, id string) error {
	size := int64(natserr.HeaderSize(msg.Header)+len(msg.Data)+len(percent.Encode(id))) + hopRoom
	switch most := s.Limits().Of(cloud); {
	case most == 0 && size > topology.DefaultPayload:
		return fmt.Errorf("a message of %d bytes: %w", size, errUnknownLimit)
	case most > 0 && size > most:
		return fmt.Errorf("%w: a message of %d bytes with its headers, NATS took up to %d when it was there", events.ErrTooLarge, size, most)
	}
	return nil
}

// SavedLimits are the limits that the spool of a directory has seen, none if there is no spool or it saw none.
func SavedLimits(dir string) (l topology.Limits, err error) {
	if dir == "" {
		return l, nil
	}
	f, err := os.Open(filepath.Join(dir, limitsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("spool: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxLimits))
	if err = errors.Join(err, f.Close()); err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil || l.Payload < 0 {
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
