package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine describes what was measured on, and with which versions.
func (b *bench) machine() string {
	cpu := "unknown processor"
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	memory := ""
	if fields := strings.Fields(read("/proc/meminfo")); len(fields) > 1 { // MemTotal: 12345 kB
		memory = fields[1] + " KiB of memory"
	}
	return fmt.Sprintf("%d × %s, %s, Linux %s, %s. NATS server %s; NATS client %s; Bento %s.",
		runtime.NumCPU(), cpu, memory, strings.TrimSpace(read("/proc/sys/kernel/osrelease")), runtime.Version(),
		b.version("natsd", "github.com/nats-io/nats-server/v2"), b.clients(), b.version("peer", "github.com/warpstreamlabs/bento"))
}

// clients are the versions of the NATS client, which should be one.
func (b *bench) clients() string {
	const module = "github.com/nats-io/nats.go"
	bridge, floor, peer := b.version("bridge", module), b.version("floor", module), b.version("peer", module)
	if bridge == floor && bridge == peer {
		return bridge
	}
	return fmt.Sprintf("%s in the bridge, %s in the floor, %s in the peer", bridge, floor, peer)
}

// version is that of a module in a program as it was built.
func (b *bench) version(program, module string) string {
	info, err := buildinfo.ReadFile(b.binary(program))
	if err != nil {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return "unknown"
}

// read returns what a file of /proc says, or nothing.
func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}
