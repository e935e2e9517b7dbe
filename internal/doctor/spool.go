package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/config"
)

const spoolSetting = "spool.dir"

// spoolDir is the directory that exists: that of the spool, or the one above it in which the bridge makes it. It is "" without a spool.
func (s *session) spoolDir() (dir string, made bool) {
	if dir = s.Checked.Spool.Dir; dir == "" || !s.Checked.Has(config.RoleIngress) {
		return "", false
	}
	for above := dir; ; above = filepath.Dir(above) {
		if _, err := os.Stat(above); err == nil || filepath.Dir(above) == above {
			return above, above == dir
		}
	}
}

func checkSpool(_ context.Context, s *session) []Finding {
	if !s.Checked.Has(config.RoleIngress) {
		return notHere()
	}
	one := func(level Level, what, fix string) []Finding {
		return []Finding{{Level: level, About: spoolSetting, What: what, Fix: fix}}
	}
	dir := s.Checked.Spool.Dir
	if dir == "" {
		return one(Warning, "there is no spool", "spool: {dir: /var/lib/factro-bridge/spool}")
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return one(Note, dir+" does not exist here; the bridge makes it when it starts", "install -d -m 0700 "+dir)
	case errors.Is(err, fs.ErrPermission):
		return one(Unknown, "this user may not look at "+dir, "sudo ls -ld "+dir)
	case err != nil:
		return one(Problem, err.Error(), "ls -ld "+dir)
	case !info.IsDir():
		return one(Problem, dir+" is no directory", "ls -ld "+dir)
	case info.Mode().Perm()&0o007 != 0:
		return []Finding{{
			Level: Warning, About: spoolSetting, What: fmt.Sprintf("%s has the mode %04o", dir, info.Mode().Perm()),
			Why: "everybody on this machine can reach the webhooks that wait there, with names and texts of people", Fix: "chmod 0700 " + dir,
		}}
	}
	return nil
}

// transient are file systems that do not outlive a process or a machine, remote are those that hang with the network.
var (
	transient = map[string]string{"tmpfs": "in memory", "ramfs": "in memory", "overlay": "that of a container, which goes with it"}
	remote    = map[string]bool{"nfs": true, "cifs": true, "smb2": true, "fuse": true, "ceph": true}
)

func checkSpoolDisk(_ context.Context, s *session) []Finding {
	dir, _ := s.spoolDir()
	if dir == "" {
		return fine("this process has no spool")
	}
	name, err := s.Disk.FileSystem(dir)
	switch {
	case err != nil:
		return []Finding{unknown("the file system of %s is not known: %v", dir, err)}
	case transient[name] != "":
		return []Finding{{
			Level: Warning, About: spoolSetting, What: fmt.Sprintf("the file system of %s is %s (%s)", dir, transient[name], name), Fix: "df -T " + dir,
		}}
	case remote[name]:
		return []Finding{{
			Level: Warning, About: spoolSetting, What: fmt.Sprintf("the file system of %s is one on the network (%s)", dir, name), Fix: "df -T " + dir,
			Why: "when the network is away, so is the spool, which is there for that very time",
		}}
	}
	return nil
}

func checkSpoolSpace(_ context.Context, s *session) []Finding {
	dir, made := s.spoolDir()
	if dir == "" {
		return fine("this process has no spool")
	}
	free, err := s.Disk.Free(dir)
	if err != nil {
		return []Finding{unknown("the free space of %s is not known: %v", dir, err)}
	}
	used := int64(0)
	if made {
		used = size(dir)
	}
	most := int64(s.Checked.Spool.MaxBytes)
	level := Warning
	switch {
	case free < disk.Reserve:
		level = Problem
	case free+used >= most+disk.Reserve:
		return nil
	}
	return []Finding{{
		Level: level, About: "spool.max_bytes", Fix: "df -h " + dir,
		What: fmt.Sprintf("the file system of %s has %d MiB left, and spool.max_bytes is %d MiB; %d MiB of the file system stay free", dir, free>>20, most>>20, disk.Reserve>>20),
	}}
}

// size is how much the files of a directory take, as far as they can be seen.
func size(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what cannot be seen counts nothing
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // as above
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
