package lastgood

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// log is what a process has logged.
type log struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// lines returns the messages so far, each with the level.
func (l *log) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.String(), "\n"), "\n")
}

func newFiles(t *testing.T) (*Files, *log) {
	t.Helper()
	l := &log{}
	files, err := NewFiles(slog.New(slog.NewTextHandler(l, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return files, l
}

func word(contents [][]byte) (string, error) {
	text := strings.TrimSpace(string(bytes.Join(contents, []byte("+"))))
	if !strings.HasPrefix(text, "w") {
		return "", errors.New("it is no word")
	}
	return text, nil
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReplaced: whatever becomes of a file, its last good content stays, and the operator hears of it once.
func TestReplaced(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	synctest.Test(t, func(t *testing.T) {
		files, l := newFiles(t)
		r := New(files, "api_key", word, file)
		if got, err := r.Get(); err == nil || got != "" {
			t.Errorf("without a file: %q, %v", got, err)
		}
		write(t, file, "\ufeffw1\r\n")
		time.Sleep(retryAfter) //nolint:forbidigo // virtual time
		if got, err := r.Get(); err != nil || got != "w1" {
			t.Errorf("got %q, %v", got, err)
		}
		write(t, file, "w2")
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		if got, err := r.Get(); err != nil || got != "w2" {
			t.Errorf("replaced: %q, %v", got, err)
		}
		for _, bad := range []string{"", " \n", "x", "\xff\xfew\x00", "\xfe\xff\x00w", "w\x003\x00", strings.Repeat("w", largest+1)} {
			write(t, file, bad)
			time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
			if got, err := r.Get(); err == nil || got != "w2" || !strings.Contains(err.Error(), file) {
				t.Errorf("with %.10q in it: %q, %v; want the last good one and an error that names the file", bad, got, err)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		if got, err := r.Get(); !errors.Is(err, os.ErrNotExist) || got != "w2" {
			t.Errorf("removed: %q, %v", got, err)
		}
		write(t, file, "w4")
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		if got, err := r.Get(); err != nil || got != "w4" {
			t.Errorf("back: %q, %v", got, err)
		}
		want := []string{"a file cannot be used\"", "can be used again", "its last good content stays in use", "can be used again"}
		if lines := l.lines(); !slices.EqualFunc(lines, want, strings.Contains) {
			t.Errorf("logged:\n%s\nwant one line each: %q", l.String(), want)
		}
	})
}

// TestReplacedOneAfterTheOther: two files that do not fit are no value, and an ordinary replacement is not worth a word.
func TestReplacedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files, l := newFiles(t)
		now := map[string]string{"cert": "w1", "key": "w1"}
		var mu sync.Mutex
		set := func(name, text string) {
			mu.Lock()
			defer mu.Unlock()
			now[name] = text
		}
		r := New(files, "http_certificate", func(contents [][]byte) (string, error) {
			if !bytes.Equal(contents[0], contents[1]) {
				return "", errors.New("they do not fit")
			}
			return string(contents[0]), nil
		}, "cert", "key")
		r.read = func(name string) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			return []byte(now[name]), nil
		}
		if got, err := r.Get(); err != nil || got != "w1" {
			t.Fatalf("got %q, %v", got, err)
		}
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		set("cert", "w2")
		go func() {
			time.Sleep(settle * 2) //nolint:forbidigo // virtual time
			set("key", "w2")
		}()
		if got, err := r.Get(); err != nil || got != "w2" {
			t.Errorf("in the middle of it: %q, %v; want the new pair, once it is whole", got, err)
		}
		if got := l.String(); got != "" {
			t.Errorf("logged: %s", got)
		}
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		set("cert", "w3")       // and the key much later
		for range 3 {
			if got, err := r.Get(); err == nil || got != "w2" {
				t.Errorf("in the middle of it: %q, %v", got, err)
			}
			time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		}
		set("key", "w3")
		if got, err := r.Get(); err != nil || got != "w3" {
			t.Errorf("afterwards: %q, %v", got, err)
		}
		if want := []string{"ERROR", "INFO"}; !slices.EqualFunc(l.lines(), want, strings.Contains) {
			t.Errorf("logged: %s", l.String())
		}
	})
}

// TestHalfWritten: what is still being written does not count, though it would be good by itself.
func TestHalfWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files, l := newFiles(t)
		contents := []string{"w-first", "w-sec", "w-second", "w-second"}
		r := New(files, "api_key", word, "key")
		r.read = func(string) ([]byte, error) {
			now := contents[0]
			contents = contents[min(1, len(contents)-1):]
			return []byte(now), nil
		}
		for _, want := range []string{"w-first", "w-second"} {
			if got, err := r.Get(); err != nil || got != want {
				t.Errorf("got %q, %v", got, err)
			}
			time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		}
		n := 0
		r.read = func(string) ([]byte, error) { n++; return []byte("w" + strings.Repeat("x", n)), nil }
		if got, err := r.Get(); !errors.Is(err, errChanging) || got != "w-second" {
			t.Errorf("got %q, %v", got, err)
		}
		if got := l.lines(); len(got) != 1 || !strings.Contains(got[0], "keeps changing") {
			t.Errorf("logged: %s", l.String())
		}
	})
}

// TestHangs: a file system that does not answer costs a caller a second, once, and never the last good value.
func TestHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files, l := newFiles(t)
		hang, reads := make(chan struct{}), 0
		r := New(files, "api_key", word, "key")
		r.read = func(string) ([]byte, error) {
			if reads++; reads == 2 {
				<-hang
			}
			if reads >= 2 {
				return []byte("w2"), nil
			}
			return []byte("w1"), nil
		}
		if got, err := r.Get(); err != nil || got != "w1" {
			t.Fatalf("got %q, %v", got, err)
		}
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		for _, want := range []time.Duration{patience, 0, 0} {
			began := time.Now()
			if got, err := r.Get(); !errors.Is(err, errHangs) || got != "w1" {
				t.Errorf("while it hangs: %q, %v", got, err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("it took %s, want %s", took, want)
			}
		}
		close(hang)
		synctest.Wait()
		time.Sleep(settle) //nolint:forbidigo // virtual time
		synctest.Wait()
		if got, err := r.Get(); err != nil || got != "w2" || reads != 3 {
			t.Errorf("afterwards: %q, %v, %d reads", got, err, reads)
		}
		if want := []string{"did not answer", "can be used again"}; !slices.EqualFunc(l.lines(), want, strings.Contains) {
			t.Errorf("logged: %s", l.String())
		}
	})
}

// TestRun: a file that nobody asks for is looked at all the same, so that its newest good content is the last one.
func TestRun(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "creds")
	synctest.Test(t, func(t *testing.T) {
		files, l := newFiles(t)
		r := New(files, "nats_creds", word, file)
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- files.Run(ctx) }()
		for _, text := range []string{"w1", "w2", "bad"} {
			write(t, file, text)
			time.Sleep(lookEvery + time.Second) //nolint:forbidigo // virtual time
		}
		if got, err := r.Get(); err == nil || got != "w2" {
			t.Errorf("got %q, %v", got, err)
		}
		if got := l.lines(); len(got) != 1 || !strings.Contains(got[0], "nats_creds") {
			t.Errorf("logged: %s", l.String())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestEndless: what has no end is no file to read.
func TestEndless(t *testing.T) {
	t.Parallel()
	if _, err := readFile("/dev/zero"); err == nil {
		t.Error("it was read to its end")
	}
}
