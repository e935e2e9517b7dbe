package bridge

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// memory is what the process may use.
type memory struct {
	limit  int64  // bytes; 0 if nobody limits it
	source string // where the limit is from
}

// knowMemory finds out how much memory the process may use and has Go's runtime keep below it: it then collects garbage when
// it has to, instead of being killed. A limit that GOMEMLIMIT sets stays as it is. Of the container's limit a fifth is left
// for what the runtime does not count: the program itself, and what the kernel holds for files and sockets.
//
// There are libraries for this. They bring more than these lines: other systems, other sources, their own log.
func knowMemory(proc, cgroups string) memory {
	if now := debug.SetMemoryLimit(-1); os.Getenv("GOMEMLIMIT") != "" && now < math.MaxInt64 {
		return memory{now, "GOMEMLIMIT"}
	}
	limit := cgroupMemory(proc, cgroups)
	if limit == 0 {
		return memory{0, "none"}
	}
	debug.SetMemoryLimit(limit / 5 * 4)
	return memory{limit, "cgroup"}
}

// cgroupMemory is the least limit of the cgroups that the process is in, 0 if there is none. A container sees its own cgroup
// as the root, or else its whole path, and the process may see only the end of it.
func cgroupMemory(proc, cgroups string) int64 {
	text, err := os.ReadFile(filepath.Join(proc, "self/cgroup"))
	if err != nil {
		return 0 // no Linux, or no cgroups
	}
	least := int64(0)
	for line := range strings.Lines(string(text)) { // 0::/path for version 2, n:controllers:/path for version 1
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir, file := cgroups, "memory.max"
		if parts[1] != "" {
			dir, file = filepath.Join(cgroups, "memory"), "memory.limit_in_bytes"
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			if n := limitIn(filepath.Join(dir, at, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// limitIn reads a limit; 0 if there is none. Version 1 writes the largest number that there is instead.
func limitIn(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= 1<<60 {
		return 0
	}
	return n
}
