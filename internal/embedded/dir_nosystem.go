//go:build !linux && !darwin

package embedded

import (
	"errors"
	"os"
)

// ErrNoLock: there is no spool on this system, since nothing would keep a second process out of it; leave spool.dir empty.
var ErrNoLock = errors.New("directories cannot be locked on this system, so there is no spool; leave it empty")

// LockDir always fails.
func LockDir(string) (*os.File, error) { return nil, ErrNoLock }

// UnlockDir closes the file.
func UnlockDir(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// FreeSpace always fails.
func FreeSpace(string) (int64, error) { return 0, ErrNoLock }
