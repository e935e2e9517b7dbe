package interop

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
)

// series are those of the NATS server that are run, each at its newest patch by the file nats-<series>.mod, which takes the place
// of go.mod. "go tool" builds it once and keeps it. For another patch: go get -modfile=nats-2.15.mod -tool
// github.com/nats-io/nats-server/v2@v2.15.3
var series = []string{"2.10", "2.11", "2.12", "2.14", "2.15"}

// noSchedules is the series that the bridge takes and that has no message schedules.
const noSchedules = "2.11"

// tooOld is the series that the bridge refuses.
const tooOld = "2.10"

// natsd is a NATS server as a process.
type natsd struct {
	t      *testing.T
	binary string
	dir    string
	port   int
	cmd    *exec.Cmd
}

// serverBinary builds the server of a series, or finds it built.
func serverBinary(t *testing.T, series string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "tool", "-modfile=nats-"+series+".mod", "-n", "nats-server").Output()
	if err != nil {
		t.Fatalf("build the server %s: %v", series, err)
	}
	return strings.TrimSpace(string(out))
}

func (n *natsd) start() {
	n.t.Helper()
	n.cmd = exec.Command(n.binary, "-js", "-a", "127.0.0.1", "-p", fmt.Sprint(n.port), "-sd", n.dir)
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
}

// stop ends the server as an operator does.
func (n *natsd) stop() {
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(os.Interrupt)
		_ = n.cmd.Wait()
		n.cmd = nil
	}
}

// store is the directory of a stream.
func (n *natsd) store(stream string) string {
	return filepath.Join(n.dir, "jetstream", "$G", "streams", stream)
}

// startServer starts the server of a series and connects the site to it.
func (s *site) startServer(t *testing.T, series string) *natsd {
	t.Helper()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	n := &natsd{t: t, binary: serverBinary(t, series), dir: t.TempDir(), port: port}
	n.start()
	t.Cleanup(n.stop)
	s.nats = fmt.Sprintf("nats://127.0.0.1:%d", port)
	if s.nc, err = nats.Connect(s.nats, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nc.Close)
	waitFor(t, "the server is up", s.nc.IsConnected)
	if s.js, err = jetstream.New(s.nc); err != nil {
		t.Fatal(err)
	}
	return n
}

// works sends a webhook, a command and a wrong command through the bridge, each of which arrives where it should.
func (s *site) works(t *testing.T, n string) {
	t.Helper()
	s.deliver(t, `{"id":"`+n+`","action":"TaskStateChanged","context":{"entityId":"`+n+`"}}`)
	stream, err := s.js.Stream(t.Context(), prefix.EventStream(cloud))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.GetLastMsgForSubject(t.Context(), "factro.event.demo.task."+n+".TaskStateChanged"); err != nil {
		t.Errorf("the event %s: %v", n, err)
	}
	client := events.NewClient(s.js, cloud)
	r, err := client.Do(t.Context(), payload.CreateTask{Title: n, TargetParentID: s.factro.Demo().Package}, events.WithID(n))
	if err != nil || r.Outcome != events.Applied || s.tasks(n) != 1 {
		t.Errorf("the command %s: %+v, %v; factro has %d tasks", n, r, err, s.tasks(n))
	}
	dead := s.messages(t, prefix.DeadStream(cloud))
	_, err = client.Do(t.Context(), payload.Generic{Name: "createTask", Resource: "task", Data: map[string]any{"titel": n}}, events.WithID("wrong-"+n))
	if err == nil {
		t.Errorf("the wrong command %s was applied", n)
	}
	waitFor(t, "the dead letter of "+n, func() bool { return s.messages(t, prefix.DeadStream(cloud)) == dead+1 })
}

// delays sends a command with notbefore, which is carried out no earlier, or is rejected with what is needed.
func (s *site) delays(t *testing.T, version string) {
	t.Helper()
	at := time.Now().Add(time.Second)
	r, err := events.NewClient(s.js, cloud).Do(t.Context(), payload.CreateTask{Title: "delayed", TargetParentID: s.factro.Demo().Package}, events.WithNotBefore(at))
	if version == noSchedules {
		if refused, ok := errors.AsType[*events.Error](err); !ok || refused.Code != notbefore.CodeUnsupported || !strings.Contains(refused.Message, "message schedules need 2.12 or later") {
			t.Errorf("a delayed command is %+v, %v", r, err)
		}
		return
	}
	if err != nil || r.Outcome != events.Applied || time.Now().Before(at) || s.tasks("delayed") != 1 {
		t.Errorf("a delayed command is %+v, %v; factro has %d tasks", r, err, s.tasks("delayed"))
	}
}

func (s *site) messages(t *testing.T, stream string) uint64 {
	t.Helper()
	found, err := s.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return found.CachedInfo().State.Msgs
}

// TestServers runs the bridge with each series of the server: start, webhook in, command out, dead letter, the server started
// again, and a queue that comes back older than its consumer.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, version := range series {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := &site{}
			n := s.startServer(t, version)
			if got := s.nc.ConnectedServerVersion(); !strings.HasPrefix(got, version+".") {
				t.Fatalf("the server is %s", got)
			}
			api := s.startFactro(t)
			if version == tooOld {
				s.refused(t, api)
				return
			}
			s.startBridge(t, api)
			s.works(t, "first")
			s.delays(t, version)
			before := filepath.Join(t.TempDir(), "msgs")
			n.stop()
			if err := os.CopyFS(before, os.DirFS(filepath.Join(n.store(prefix.CommandStream(cloud)), "msgs"))); err != nil {
				t.Fatal(err)
			}
			n.start()
			waitFor(t, "the bridge is ready", func() bool { return isReady(s.admin + "/readyz") })
			s.works(t, "second")

			n.stop()
			msgs := filepath.Join(n.store(prefix.CommandStream(cloud)), "msgs")
			if err := os.RemoveAll(msgs); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(msgs, os.DirFS(before)); err != nil {
				t.Fatal(err)
			}
			n.start()
			waitFor(t, "the bridge is ready", func() bool { return isReady(s.admin + "/readyz") })
			s.works(t, "third")
		})
	}
}

// refused sees that the bridge says that the server is too old, and makes nothing there.
func (s *site) refused(t *testing.T, api string) {
	t.Helper()
	s.launchBridge(t, api)
	text := ""
	waitFor(t, "the bridge says that the server is too old", func() bool {
		resp, err := http.Get(s.admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		text = string(body)
		return err == nil && resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(text, "the NATS server is too old: it is "+tooOld)
	})
	for name := range s.js.StreamNames(t.Context()).Name() {
		t.Errorf("the bridge has made %s; it says %s", name, text)
	}
}
