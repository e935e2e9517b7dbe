package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// TestLoose: what counts is the file, also behind the links of a projected volume.
func TestLoose(t *testing.T) {
	t.Parallel()
	for mode, loose := range map[os.FileMode]bool{
		0o400: false, 0o600: false, 0o440: false, 0o640: false, 0o644: true, 0o604: true, 0o666: true, 0o444: true, 0o602: true,
	} {
		dir := t.TempDir()
		data := filepath.Join(dir, "..2030_01_01")
		for _, err := range []error{
			os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "key"), []byte("geheim"), 0o600), os.Chmod(filepath.Join(data, "key"), mode),
			os.Symlink("..2030_01_01", filepath.Join(dir, "..data")), os.Symlink("..data/key", filepath.Join(dir, "key")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{filepath.Join(data, "key"), filepath.Join(dir, "key")} {
			got := secret.Loose(path)
			if (got != "") != loose || loose && !strings.Contains(got, path) || strings.Contains(got, "geheim") {
				t.Errorf("%04o: got %q", mode, got)
			}
		}
	}
	for _, path := range []string{"", filepath.Join(t.TempDir(), "none")} {
		if got := secret.Loose(path); got != "" {
			t.Errorf("%q: got %q", path, got)
		}
	}
}
