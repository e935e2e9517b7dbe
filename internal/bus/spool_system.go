//go:build linux || darwin

package bus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir takes a spool's directory for this process, as long as the returned file is open. JetStream has no lock of its
// own, and two servers on one directory would each believe that they know what is in it.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool.dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spool.dir: %w", err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return f, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = errors.New("another process uses it; each bridge needs a spool directory of its own")
		return nil, errors.Join(fmt.Errorf("spool.dir: %s: %w", dir, err), f.Close())
	default:
		return nil, errors.Join(fmt.Errorf("spool.dir: lock %s: %w", dir, err), f.Close())
	}
}

// unlockDir gives the directory back. Closing the file alone would not do: a child that this process is just about to start
// has it, too, for a moment.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// freeSpace is how many bytes the file system of a directory has left for us.
func freeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:gosec,unconvert // far below the limit; the types differ by system
}
