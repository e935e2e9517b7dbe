//go:build !linux && !darwin

package bus

import (
	"errors"
	"os"
)

// errNoLockHere: there is no spool, since nothing would keep a second process out of it; leave spool.dir empty.
var errNoLockHere = errors.New("directories cannot be locked on this system, so there is no spool; leave it empty")

func lockDir(string) (*os.File, error) { return nil, errNoLockHere }

func unlockDir(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

func freeSpace(string) (int64, error) { return 0, errNoLockHere }
