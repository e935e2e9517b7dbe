package doctor

import (
	"fmt"
	"syscall"
)

// fileSystems are the names of those that are no place for a spool, by the numbers that the kernel gives them.
var fileSystems = map[int64]string{
	0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x794c7630: "overlay",
	0x6969: "nfs", 0xff534d42: "cifs", 0xfe534d42: "smb2", 0x65735546: "fuse", 0x00c36400: "ceph",
}

func fileSystem(dir string) (string, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("file system of %s: %w", dir, err)
	}
	return fileSystems[int64(fs.Type)&0xffffffff], nil //nolint:unconvert // the type differs by system
}
