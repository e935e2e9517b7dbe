package bus

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

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	// DefaultPayload is how large a message may be with a NATS server whose operator says nothing else, EmbeddedPayload with
	// the embedded one.
	DefaultPayload, EmbeddedPayload = 1 << 20, embedded.MaxPayload
	// HeaderRoom is how much of that an event's headers take at most.
	HeaderRoom = 16 << 10
	// hopRoom is how much a message grows when it is published: its message id comes on top.
	hopRoom = 1 << 10

	limitsFile = "limits.json"
	mostLimits = 1 << 20 // bytes of that file
)

// Limits are the sizes that the broker takes, with headers, as they were seen last. What a spool promises while the broker is
// away has to fit into them.
type Limits struct {
	// Payload is the server's max_payload, 0 if it was never seen.
	Payload int64 `json:"max_payload"`
	// Messages is the max_msg_size of the stream of events of each cloud whose stream has one.
	Messages map[string]int64 `json:"max_msg_size,omitempty"`
}

// Of is the largest message of a cloud, 0 if it is not known.
func (l Limits) Of(cloud string) int64 {
	if size := l.Messages[cloud]; size > 0 {
		return min(size, l.Payload)
	}
	return l.Payload
}

// limits are the Limits of a connection.
type limits struct {
	mu      sync.Mutex
	now     Limits
	changed bool // since they were saved
}

func (l *limits) get() Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Limits{l.now.Payload, maps.Clone(l.now.Messages)}
}

func (l *limits) sawPayload(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = l.changed || n != l.now.Payload
	l.now.Payload = n
}

func (l *limits) sawMessages(cloud string, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.Messages == nil {
		l.now.Messages = map[string]int64{}
	}
	if n = max(n, 0); n == l.now.Messages[cloud] {
		return
	}
	l.changed = true
	if l.now.Messages[cloud] = n; n == 0 {
		delete(l.now.Messages, cloud)
	}
}

// restore takes what was known before, unless something is known already.
func (l *limits) restore(was Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.Payload == 0 {
		l.now.Payload = was.Payload
	}
	for cloud, n := range was.Messages {
		if _, known := l.now.Messages[cloud]; !known && n > 0 {
			if l.now.Messages == nil {
				l.now.Messages = map[string]int64{}
			}
			l.now.Messages[cloud] = n
		}
	}
}

// save writes the limits into a directory if they have changed.
func (l *limits) save(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.changed {
		return nil
	}
	text, err := json.Marshal(l.now)
	if err == nil {
		err = writeWhole(filepath.Join(dir, limitsFile), text)
	}
	l.changed = err != nil
	return err
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

// SavedLimits are the limits that the spool of a directory has seen, none if there is no spool or it saw none.
func SavedLimits(dir string) (l Limits, err error) {
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
	text, err := io.ReadAll(io.LimitReader(f, mostLimits))
	if err = errors.Join(err, f.Close()); err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil || l.Payload < 0 {
		return Limits{}, fmt.Errorf("spool: %s is not what the bridge wrote: %w", f.Name(), err)
	}
	return l, nil
}

// Limits are the sizes that the broker takes, as they were seen last.
func (b *Conn) Limits() Limits { return b.limits.get() }

// errUnknownLimit says that nobody knows whether the broker will take a message.
var errUnknownLimit = errors.New("the largest message that NATS takes is not known yet, since it was never reached")

// fits says whether the broker will take a message that waits in the spool. What it would refuse must not be promised.
func (s *Spool) fits(cloud string, msg *nats.Msg, id string) error {
	size := int64(natserr.HeaderSize(msg.Header)+len(msg.Data)+len(percent.Encode(id))) + hopRoom
	switch most := s.bus.Limits().Of(cloud); {
	case most == 0 && size > DefaultPayload:
		return fmt.Errorf("a message of %d bytes: %w", size, errUnknownLimit)
	case most > 0 && size > most:
		return fmt.Errorf("%w: a message of %d bytes with its headers, NATS took up to %d when it was there", events.ErrTooLarge, size, most)
	}
	return nil
}
