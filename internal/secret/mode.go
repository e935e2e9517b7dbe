package secret

import (
	"fmt"
	"os"
	"runtime"
)

// Loose returns a warning if everybody on the machine may read a file that holds a secret, or "". It follows links, which
// the volumes of Kubernetes use for each file: the file at the end counts. Group access is no reason to warn: that is how
// Kubernetes gives a Secret to a process that is not root (fsGroup, and a mode of 0440 or 0640). A missing file is not
// reported here, but where it is read.
func Loose(path string) string {
	info, err := os.Stat(path)
	if path == "" || err != nil || runtime.GOOS == "windows" {
		return ""
	}
	mode := info.Mode().Perm()
	switch {
	case mode&0o002 != 0:
		return fmt.Sprintf("%s has the mode %04o: everybody on this machine may read and replace it; 0600 or 0640 would do", path, mode)
	case mode&0o004 != 0:
		return fmt.Sprintf("%s has the mode %04o: everybody on this machine may read it; 0600 or 0640 would do", path, mode)
	}
	return ""
}
