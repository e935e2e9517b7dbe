package hostile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What somebody puts into the directories of the bridge leads nowhere, and no second process takes one, by whatever name.
func TestPlantedLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a local user plants links in its directories", setting{embedded: true, spool: true})
	outside := filepath.Join(w.dir, "outside")
	inVain := func(n int, want string) {
		t.Helper()
		other := &node{w: w, n: n}
		if err := other.start(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("another bridge: %v, want it to end with %q", err, want)
		}
		other.Kill()
		if _, err := os.Lstat(outside); err == nil {
			t.Error("something was made outside of the directory")
		}
	}
	inVain(0, "nats.embedded.data_dir: ")

	w.set.roles = append(w.set.roles, w.set.roles[0]) // for the other one, which uses the first one's NATS
	spool := (&node{w: w, n: 1}).spoolDir()
	must(t, os.Symlink(w.bridges[0].spoolDir(), spool))
	inVain(1, "another process uses it")
	for _, place := range []string{"lock", "jetstream", "jetstream/$G/streams/SPOOL/msgs/1.blk"} {
		must(t, os.RemoveAll(spool))
		path := filepath.Join(spool, place)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.Symlink(outside, path))
		inVain(1, path+" is a symbolic link")
	}
	w.set.roles = w.set.roles[:1]
	w.aftermath(beta, acme)
}
