package bus

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

// fewFiles is set for the process that uses up its descriptors, to its directory.
const fewFiles = "FACTRO_BRIDGE_TEST_FEW_FILES"

// TestEmbeddedServerRestarted: a stream that met the end of the descriptors once refuses everything for good, while the
// connection is up and its state looks well. The server is restarted, and stores again. The test runs itself once more,
// since descriptors are the whole process's.
func TestEmbeddedServerRestarted(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(fewFiles); dir != "" {
		outOfFiles(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEmbeddedServerRestarted$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), fewFiles+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func outOfFiles(t *testing.T, dir string) {
	t.Helper()
	s, err := embedded.Start(embedded.Config{DataDir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	url := s.URL()
	other, err := nats.Connect(url, nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	cfg := Config{Name: "test", Prefix: "factro", Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: 5 * time.Second, Server: s}
	b, err := Connect(cfg, quiet(), hasty, withStreams(quiet()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	start(t, b.Run)
	eventually(t, "it is ready", func() bool { return b.Health().Ready() == nil })
	storeEvent(t, b, "before")

	publish := func(e event.Event, id string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		return publisher(t, b).Publish(ctx, eventSubject, e, id)
	}
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	// What is open stays open, and nothing can be opened.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	large := taskEvent(t, "large") // a few of these need a new file
	large.DataEncoded = []byte(`"` + strings.Repeat("x", 4<<20) + `"`)
	broken := false
	for i := 0; i < 10 && !broken; i++ {
		broken = publish(large, fmt.Sprintf("large-%d", i)) != nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	if !broken {
		t.Fatal("the store took everything without descriptors")
	}
	eventually(t, "it stores again", func() bool { return publish(taskEvent(t, "after"), "after") == nil })
	eventually(t, "it is ready again", func() bool { return b.Health().Ready() == nil })
	if err := s.Alive(); err != nil {
		t.Error(err)
	}
	eventually(t, "others are there again", func() bool { return other.IsConnected() && s.URL() == url })
	if other.Stats().Reconnects == 0 {
		t.Error("it was not restarted, so nothing was mended")
	}
}
