//go:build !linux && !darwin

package bus

import (
	"errors"
	"os"
)

var errNoSpoolHere = errors.New("spool.dir: there is no spool on this system, since its directory could not be locked; leave it empty")

func lockDir(string) (*os.File, error) { return nil, errNoSpoolHere }

func unlockDir(f *os.File) error { return f.Close() }

func freeSpace(string) (int64, error) { return 0, errNoSpoolHere }
