package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// rereadAfter bounds both how long a rotated secret stays unnoticed and how often its file is read.
	rereadAfter = time.Second
	// patience is how long a caller waits for a file. On a network file system that hangs a read may never end.
	patience = time.Second
	// largest bounds how much of a file is read, for whoever names one that has no end.
	largest = 64 << 10
)

var errHangs = fmt.Errorf("the file system did not answer within %s", patience)

// Reader gives the current value of a secret.
type Reader struct {
	source Source
	read   func(file string) ([]byte, error)

	mu    sync.Mutex
	last  String
	err   error         // of the last read
	until time.Time     // the last value is taken without looking before this time
	busy  chan struct{} // closed when the read that is under way ends; nil if there is none
	began time.Time     // when it began
}

// NewReader returns a reader of the source. It reads nothing yet.
func NewReader(s Source) *Reader { return &Reader{source: s, read: readFile, last: s.Value} }

// Get returns the secret as it is now. If its file cannot be read in time or is empty, it returns an error beside the last
// good value: a file that is gone for a moment while it is replaced must not lock anybody out.
func (r *Reader) Get() (String, error) {
	if r.source.File == "" {
		return r.source.Value, nil
	}
	r.mu.Lock()
	now := time.Now()
	if now.Before(r.until) {
		defer r.mu.Unlock()
		return r.last, nil
	}
	if r.busy == nil {
		r.busy, r.began = make(chan struct{}), now
		go r.reread(r.busy)
	}
	busy, left := r.busy, r.began.Add(patience).Sub(now)
	r.mu.Unlock()
	if !ended(busy, left) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.last, fmt.Errorf("read secret: %s: %w", r.source.File, errHangs)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.err
}

// ended waits for the end of a read. Who comes after the first has run out of patience does not wait at all.
func ended(busy <-chan struct{}, left time.Duration) bool {
	if left <= 0 {
		select {
		case <-busy:
			return true
		default:
			return false
		}
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-busy:
		return true
	case <-timer.C:
		return false
	}
}

// reread reads the file. There is one such read at a time, so that a file system that hangs holds one goroutine.
func (r *Reader) reread(busy chan struct{}) {
	text, err := r.read(r.source.File)
	value := String(strings.TrimSpace(string(text)))
	switch {
	case err != nil:
		err = fmt.Errorf("read secret: %w", err)
	case value == "":
		err = fmt.Errorf("read secret: %s is empty", r.source.File)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err = err; err == nil {
		r.last, r.until = value, time.Now().Add(rereadAfter)
	}
	r.busy = nil
	close(busy)
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	text, err := io.ReadAll(io.LimitReader(f, largest+1))
	if len(text) > largest {
		err = fmt.Errorf("%s has more than %d bytes", file, largest)
	}
	return text, errors.Join(err, f.Close())
}
