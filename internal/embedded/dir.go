package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// CheckTree refuses what JetStream never makes in its directory: it opens its files by their names, so a symbolic link that
// somebody else put there would have it read and write elsewhere, with our rights, and a pipe would have it wait for ever.
// The directory itself may be a link: that is the operator's choice.
func CheckTree(dir string) error {
	top := filepath.Join(dir, "jetstream")
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // nothing is there yet, or it was removed meanwhile
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
	return fmt.Errorf("%s is a symbolic link or no plain file; remove it, and see who may write to its directory", path)
}
