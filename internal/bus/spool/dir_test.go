//go:build linux || darwin

package spool

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

// plants are what somebody with access to the directory of a server may put there; each is a path in it.
func plants(t *testing.T) map[string]func(dir, outside string) error {
	t.Helper()
	link := func(parts ...string) func(dir, outside string) error {
		return func(dir, outside string) error {
			path := filepath.Join(append([]string{dir}, parts...)...)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return err
			}
			return os.Symlink(outside, path)
		}
	}
	return map[string]func(dir, outside string) error{
		"the lock":             link("lock"),
		"the whole":            link("jetstream"),
		"a stream":             link("jetstream", "$G", "streams", "SPOOL"),
		"a file of a stream":   link("jetstream", "$G", "streams", "SPOOL", "msgs", "1.blk"),
		"a pipe for the lock":  func(dir, _ string) error { return syscall.Mkfifo(filepath.Join(dir, "lock"), 0o600) },
		"a folder as the lock": func(dir, _ string) error { return os.Mkdir(filepath.Join(dir, "lock"), 0o700) },
	}
}

// TestDirsFollowNoLinks: what somebody puts into a directory of ours leads nowhere.
func TestDirsFollowNoLinks(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	for name, plant := range plants(t) {
		for server, open := range map[string]func(dir string) error{
			"spool": func(dir string) error {
				s, err := Open(t.Context(), config(dir), b, bustest.Publisher(t, b), letters(t, b), bustest.Quiet())
				if err == nil {
					s.Close()
				}
				return err
			},
			"embedded": func(dir string) error {
				s, err := embedded.Start(embedded.Config{DataDir: dir})
				if err == nil {
					s.Close()
				}
				return err
			},
		} {
			dir, elsewhere := t.TempDir(), t.TempDir()
			outside := filepath.Join(elsewhere, "outside")
			if err := plant(dir, outside); err != nil {
				t.Fatal(err)
			}
			if err := open(dir); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s, %s: the error is %v, want one that names the place", server, name, err)
			}
			if _, err := os.Lstat(outside); err == nil {
				t.Errorf("%s, %s: something was made outside", server, name)
			}
		}
	}
}

// TestDirMayBeALink: where the directory is, is the operator's choice.
func TestDirMayBeALink(t *testing.T) {
	t.Parallel()
	plain, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(plain, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{link, plain} {
		s, err := embedded.Start(embedded.Config{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
}

// TestDirsAreApart: two servers on one directory would each take the other's streams for its own, by whatever name they
// know it.
func TestDirsAreApart(t *testing.T) {
	t.Parallel()
	_, b := away(t)
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	s, err := embedded.Start(embedded.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	const want = "uses it"
	if _, err := embedded.Start(embedded.Config{DataDir: link}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a second server: %v, want %q", err, want)
	}
	if _, err := Open(t.Context(), config(link), b, bustest.Publisher(t, b), letters(t, b), bustest.Quiet()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a spool: %v, want %q", err, want)
	}
}
