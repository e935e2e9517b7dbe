package bridge

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
)

// TestCgroupMemory: the limit is found as containers and hosts show it, and the least of several counts.
func TestCgroupMemory(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cgroup string
		files  map[string]string
		want   int64
	}{
		"none":                     {"", nil, 0},
		"version 2, container":     {"0::/\n", map[string]string{"memory.max": "268435456\n"}, 256 << 20},
		"version 2, no limit":      {"0::/\n", map[string]string{"memory.max": "max\n"}, 0},
		"version 2, a unit":        {"0::/system.slice/bridge.service\n", map[string]string{"system.slice/bridge.service/memory.max": "1048576", "system.slice/memory.max": "2097152"}, 1 << 20},
		"version 2, of its slice":  {"0::/a/b\n", map[string]string{"a/b/memory.max": "max", "a/memory.max": "4096"}, 4096},
		"version 1, container":     {"5:cpu:/docker/x\n4:memory:/docker/x\n", map[string]string{"memory/memory.limit_in_bytes": "65536"}, 65536},
		"version 1, host":          {"4:memory,hugetlb:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "32768", "memory/memory.limit_in_bytes": "9223372036854771712"}, 32768},
		"version 1, another's":     {"4:cpu:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "32768"}, 0},
		"out of the root, or odd":  {"0::/../../etc\nodd\n", map[string]string{"memory.max": "nonsense"}, 0},
		"both, the container's is": {"4:memory:/\n0::/\n", map[string]string{"memory/memory.limit_in_bytes": "8192", "memory.max": "4096"}, 4096},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proc, cgroups := t.TempDir(), t.TempDir()
			write := func(dir, file, text string) {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tt.cgroup != "" {
				write(proc, "self/cgroup", tt.cgroup)
			}
			for file, text := range tt.files {
				write(cgroups, file, text)
			}
			if got := cgroupMemory(proc, cgroups); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// TestPercentFor: garbage is at most four times what is in use, and at most 64 MiB unless Go's default allows more.
func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 16 << 20: 400, 20 << 20: 300, 32 << 20: 200, 64 << 20: 100, 1 << 30: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes in use: %d, want %d", live, got, want)
		}
	}
}

// TestCollectLess: the percentage follows what is in use, collection by collection.
func TestCollectLess(t *testing.T) { // the collector is global
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	collectLess()
	held := make([]byte, 128<<20)
	wantPercent(t, 100)
	runtime.KeepAlive(held)
	wantPercent(t, 400)
}

// wantPercent collects until the collector has a percentage.
func wantPercent(t *testing.T, want uint64) {
	t.Helper()
	now := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		if metrics.Read(now); now[0].Value.Uint64() == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the percentage is %d, want %d", now[0].Value.Uint64(), want)
		}
	}
}

// TestConnections: whatever the limit of open files, the disk, the probes and NATS have their part, and the operator hears of
// it if webhooks get less than configured.
func TestConnections(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Clouds = []config.Cloud{{Name: "acme"}, {Name: "beta"}}
	embedded := c
	embedded.NATS.Embedded = config.Embedded{DataDir: "d", Listen: "127.0.0.1:0"}
	embedded.Spool.Dir = "s"
	noIngress := embedded
	noIngress.Roles = []string{config.RoleEgress}
	for name, tt := range map[string]struct {
		cfg    config.Config
		files  int
		want   connections
		warned bool
	}{
		"nobody limits":        {embedded, 0, connections{1000, 500, 64, 4096}, false},
		"plenty":               {embedded, 1 << 20, connections{1000, 500, 64, 4096}, false},
		"1024":                 {embedded, 1024, connections{728, 364, 64, 128}, true},
		"256":                  {embedded, 256, connections{104, 52, 16, 32}, true},
		"256, another's NATS":  {c, 256, connections{176, 88, 16, 32}, true},
		"hardly any":           {embedded, 64, connections{16, 8, 8, 16}, true},
		"takes no webhooks":    {noIngress, 256, connections{1000, 500, 16, 32}, false},
		"just enough":          {c, 1000 + 48 + 16 + 64, connections{1000, 500, 64, 141}, false},
		"one less than enough": {c, 1000 + 48 + 16 + 64 - 1, connections{999, 499, 64, 140}, true},
	} {
		got, warning := divide(tt.cfg, tt.files)
		if got != tt.want || (warning != "") != tt.warned {
			t.Errorf("%s: %+v, %q, want %+v", name, got, warning, tt.want)
		}
		if tt.warned && !strings.Contains(warning, "http.max_connections") {
			t.Errorf("%s: %q", name, warning)
		}
	}
}

// TestWebhookMemory: bodies in flight are a part of what the process has, and at least one of the largest fits.
func TestWebhookMemory(t *testing.T) {
	t.Parallel()
	c := config.Default()
	for limit, want := range map[int64]int64{0: 32 << 20, 256 << 20: 32 << 20, 1 << 30: 128 << 20, 16 << 20: 4<<20 - 64<<10 + 40<<10} {
		if got := c.WebhookMemory(limit); got != want {
			t.Errorf("of %d: %d, want %d", limit, got, want)
		}
	}
	c.HTTP.MaxMemory = 5 << 20
	if got := c.WebhookMemory(1 << 30); got != 5<<20 {
		t.Errorf("as configured: %d", got)
	}
}
