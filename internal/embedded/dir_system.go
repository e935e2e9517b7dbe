//go:build linux || darwin

package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// LockDir locks a directory for the JetStream server of this process, as long as the returned file is open. JetStream has
// no lock of its own, and two servers on one directory would each assume that nobody else changes it.
func LockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	// With a link the file would be created elsewhere, and a pipe would block.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, notPlain(path)
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(cmp.Or(err, notPlain(path)), f.Close())
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return f, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%s: another process uses it, or another server of this one; each needs a separate directory", dir), f.Close())
	default:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
}

// UnlockDir unlocks the directory. Closing the file is not enough: a child process that is just being started has it open
// for a moment, too.
func UnlockDir(f *os.File) error {
	if f == nil {
		return nil
	}
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// ErrNoLock is for systems without locks.
var ErrNoLock = errors.New("directories cannot be locked on this system")

// FreeSpace is how many bytes are available in the file system of a directory.
func FreeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:gosec,unconvert // far below the limit; the types differ by system
}
