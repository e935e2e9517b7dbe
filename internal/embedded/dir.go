package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// CheckTree refuses files that JetStream never makes in its directory. JetStream opens its files by name, so a symbolic
// link made by somebody else would have it read and write elsewhere, with our permissions, and a pipe would block it
// forever. The directory itself may be a link: that is the operator's choice.
func CheckTree(dir string) error {
	top := filepath.Join(dir, "jetstream")
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // nothing exists yet, or it was just removed
			return nil
		case err != nil:
			return err
		case !d.IsDir() && !d.Type().IsRegular():
			return notPlain(path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for foreign files: %w", err)
	}
	return nil
}

func notPlain(path string) error {
	return fmt.Errorf("%s is a symbolic link or not a regular file; remove it, and check who may write to its directory", path)
}
