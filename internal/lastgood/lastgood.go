// Package lastgood reads files that others replace while the process runs, and remembers the last content that was good.
//
// In: the paths of files, and a function that makes a value of their content. Out: the current value. While a file is
// missing, empty, half written or does not match the others, the last good value stays in use.
package lastgood

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

const (
	// rereadAfter limits how long a replaced file stays unnoticed, and how often it is read, since requests of strangers
	// cause reads. retryAfter is the same while a file is unusable.
	rereadAfter = time.Second
	retryAfter  = 100 * time.Millisecond
	// settle is how long new content has to stay the same before it is used, and steps how often it is checked: a file may
	// be half written, or the second file of a pair not replaced yet.
	settle = 50 * time.Millisecond
	steps  = 5
	// patience is how long a caller waits for a file. On a network file system that hangs, a read may never end.
	patience = time.Second
	// largest limits how much of a file is read, in case the file has no end.
	largest = 1 << 20
	// lookEvery is how often Run reads the files that nothing else reads.
	lookEvery = 10 * time.Second
)

var (
	errHangs    = fmt.Errorf("the file system did not answer within %s", patience)
	errChanging = errors.New("the content keeps changing")
)

// Kind is the purpose of a file, in the log and in the metric.
type Kind string

// Kinds of files.
const (
	APIKey          Kind = "api_key"
	WebhookSecret   Kind = "webhook_secret"
	HTTPCertificate Kind = "http_certificate"
	HTTPClientCA    Kind = "http_client_ca"
	NATSCA          Kind = "nats_ca"
	NATSCertificate Kind = "nats_certificate"
	NATSCreds       Kind = "nats_creds" //nolint:gosec // a name
	NATSNkey        Kind = "nats_nkey"
	NATSPassword    Kind = "nats_password" // also the user's name
)

var kinds = []Kind{APIKey, WebhookSecret, HTTPCertificate, HTTPClientCA, NATSCA, NATSCertificate, NATSCreds, NATSNkey, NATSPassword}

// Files are the files of a process. A nil *Files also works, but logs and counts nothing.
type Files struct {
	log      *slog.Logger
	unusable metric.Int64UpDownCounter

	mu  sync.Mutex
	all []func()
}

// NewFiles returns an empty set.
func NewFiles(log *slog.Logger) (*Files, error) {
	b := instrument.New("github.com/factro-bridge/factro-bridge/internal/lastgood")
	f := &Files{log: log, unusable: b.UpDownCounter("factro.bridge.files.unusable", "{file}",
		"Files that cannot be used as they are now, by purpose; their last good content stays in use, if there was any. A certificate and its key count as one.")}
	if err := b.Err(); err != nil {
		return nil, err
	}
	for _, kind := range kinds { // series that are watched start at 0
		f.count(kind, 0)
	}
	return f, nil
}

// Run reads all files from time to time until ctx ends, so that a bad file is noticed, and a good one remembered, before it
// is needed.
func (f *Files) Run(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		f.mu.Lock()
		all := slices.Clone(f.all)
		f.mu.Unlock()
		for _, look := range all {
			look()
		}
	}
}

// count changes how many files of a kind are unusable.
func (f *Files) count(kind Kind, by int64) {
	if f != nil {
		f.unusable.Add(context.Background(), by, metric.WithAttributes(attribute.String("kind", string(kind))))
	}
}

// Reader returns the current value of some files.
type Reader[T any] struct {
	files *Files
	kind  Kind
	names []string
	parse func(contents [][]byte) (T, error)
	read  func(file string) ([]byte, error)

	mu       sync.Mutex
	last     T
	contents [][]byte // of the last good value; nil if there was none yet
	err      error    // of the last read
	warned   bool     // whether it was logged
	until    time.Time
	busy     chan struct{} // closed when the running read ends; nil if there is none
	began    time.Time     // when it began
}

// New returns a reader of files that belong together. parse gets their contents in the order of the names, without byte
// order marks and with Unix line ends. Its errors must not quote secrets. New reads nothing yet.
func New[T any](files *Files, kind Kind, parse func(contents [][]byte) (T, error), names ...string) *Reader[T] {
	r := &Reader[T]{files: files, kind: kind, names: names, parse: parse, read: readFile}
	if files != nil {
		files.mu.Lock()
		defer files.mu.Unlock()
		files.all = append(files.all, func() { _, _ = r.Get() }) // errors are logged
	}
	return r
}

// Get returns the current value. If the files cannot be read in time or are invalid, it returns an error and the last good
// value, or the zero value if there never was one.
func (r *Reader[T]) Get() (T, error) { return r.get(false) }

// Now is Get for rare calls: it reads even if it has just read.
func (r *Reader[T]) Now() (T, error) { return r.get(true) }

func (r *Reader[T]) get(again bool) (T, error) {
	r.mu.Lock()
	now := time.Now()
	if now.Before(r.until) && !again {
		defer r.mu.Unlock()
		return r.last, r.err
	}
	if r.busy == nil {
		r.busy, r.began = make(chan struct{}), now
		go r.reread(r.busy)
	}
	busy, left := r.busy, r.began.Add(patience).Sub(now)
	r.mu.Unlock()
	over := ended(busy, left)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !over && r.busy == busy {
		r.note(fmt.Errorf("%s: %w", strings.Join(r.names, ", "), errHangs))
	}
	return r.last, r.err
}

// ended waits for the end of a read. Once the first caller has given up, further callers do not wait.
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

// reread reads the files. There is only one such read at a time, so that a hanging file system blocks one goroutine.
func (r *Reader[T]) reread(busy chan struct{}) {
	value, contents, err := r.settled()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Now().Add(retryAfter)
	if err == nil {
		r.last, r.contents, r.until = value, contents, time.Now().Add(rereadAfter)
	}
	r.note(err)
	r.busy = nil
	close(busy)
}

// settled reads the files until their content is the last good one, or is good and stays the same. Content that was bad
// before is read only once.
func (r *Reader[T]) settled() (value T, contents [][]byte, err error) {
	r.mu.Lock()
	was, last, bad := r.contents, r.last, r.err != nil
	r.mu.Unlock()
	var before [][]byte
	for step := 1; ; step++ {
		value, contents, err = r.once()
		same := func(other [][]byte) bool { return other != nil && slices.EqualFunc(contents, other, bytes.Equal) }
		switch {
		case err == nil && same(was):
			return last, was, nil
		case was == nil, err == nil && same(before), err != nil && (bad || step == steps):
			return value, contents, err
		case step == steps:
			return value, contents, fmt.Errorf("%s: %w", strings.Join(r.names, ", "), errChanging)
		}
		before = contents
		<-time.After(settle)
	}
}

// once reads the files once. Contents are nil if there is an error.
func (r *Reader[T]) once() (value T, contents [][]byte, err error) {
	for _, name := range r.names {
		content, err := r.read(name)
		if err == nil {
			content, err = text(content)
		}
		if err != nil {
			return value, nil, named(name, err)
		}
		contents = append(contents, content)
	}
	if value, err = r.parse(contents); err != nil {
		return value, nil, named(strings.Join(r.names, ", "), err)
	}
	return value, contents, nil
}

// named adds the name of the file to an error, unless it is the operating system's, which has it.
func named(name string, err error) error {
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// note remembers how the last read ended, and logs once when the files become unusable and once when they are usable again.
func (r *Reader[T]) note(err error) {
	r.err = err
	if bad := err != nil; bad == r.warned || r.files == nil {
		return
	} else if r.warned = bad; !bad {
		r.files.count(r.kind, -1)
		r.files.log.Info("a file can be used again", "kind", r.kind, "files", r.names)
		return
	}
	r.files.count(r.kind, 1)
	if r.contents != nil {
		r.files.log.Error("a file cannot be used; its last good content stays in use", "kind", r.kind, "error", err)
		return
	}
	r.files.log.Error("a file cannot be used", "kind", r.kind, "error", err)
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	content, err := io.ReadAll(io.LimitReader(f, largest+1))
	if len(content) > largest {
		err = fmt.Errorf("it has more than %d bytes", largest)
	}
	return content, errors.Join(err, f.Close())
}

// Errors for a file without text.
var (
	errEmpty = errors.New("it is empty")
	// ErrUTF16 means that a file is in UTF-16, which only programs for Windows read as text.
	ErrUTF16 = errors.New("it is UTF-16; save it as UTF-8 or ASCII")
)

// text returns the content without a byte order mark, which some editors write, and with Unix line ends. No file that is
// read here is binary.
func text(content []byte) ([]byte, error) {
	content = bytes.ReplaceAll(bytes.TrimPrefix(content, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}), bytes.HasPrefix(content, []byte{0xfe, 0xff}), bytes.IndexByte(content, 0) >= 0 && bytes.IndexByte(content, 0) < 2:
		return nil, ErrUTF16
	case len(bytes.TrimSpace(content)) == 0:
		return nil, errEmpty
	}
	return content, nil
}
