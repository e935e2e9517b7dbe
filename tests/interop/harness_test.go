package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/tests/poll"
)

const (
	// patience bounds every wait. It is not a duration that a test takes; the AsyncAPI parser, which has twelve seconds of
	// computing to do, needs a part of it on a busy machine.
	patience = 4 * time.Minute
	prefix   = events.Prefix(events.DefaultPrefix)
	cloud    = "demo" // as in the README

	webhookHeader = "X-Bridge-Key"
	webhookSecret = "webhook-secret"
	apiKey        = "api-key"
)

// site is a bridge in operation, with a NATS server and a simulated factro of its own.
type site struct {
	nats   string // URL
	nc     *nats.Conn
	js     jetstream.JetStream
	server *natstest.Server
	factro *sim.Sim
	http   string // URL of the bridge's webhooks
	admin  string // URL of its endpoints for operators
	access string // settings of the bridge's connection beside the URL
	more   string // lines of its configuration
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	s.useNATS(t, natstest.Start(t))
	api := s.startFactro(t)
	s.startBridge(t, api)
	return s
}

// useNATS connects to a server as the owner of the streams.
func (s *site) useNATS(t *testing.T, n *natstest.Server, owner ...nats.Option) {
	t.Helper()
	s.server, s.nats = n, n.URL()
	s.nc, s.js = n.Connect(t, owner...)
}

// startFactro returns the URL of the simulator's Core API.
func (s *site) startFactro(t *testing.T) string {
	t.Helper()
	var err error
	if s.factro, err = sim.New(sim.Config{Key: apiKey, Examples: true, Quota: 1_000_000}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.factro.Run(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return "http://" + l.Addr().String() + "/api/core"
}

// startBridge starts the binary, waits until it listens, and has factro call its webhooks.
func (s *site) startBridge(t *testing.T, api string) {
	t.Helper()
	s.launchBridge(t, api)
	waitFor(t, "the bridge is ready", func() bool { return isReady(s.admin + "/readyz") })
	if err := s.factro.Register(sim.Webhook{URL: s.http, Action: "*", Header: webhookHeader, Value: webhookSecret}); err != nil {
		t.Fatal(err)
	}
}

// launchBridge starts the binary, and waits until it listens.
func (s *site) launchBridge(t *testing.T, api string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "bridge.yaml")
	text := fmt.Sprintf(`
http: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
nats: {url: %q%s}
clouds:
  - name: %s
    webhook: {header: %s, secrets: [{value: %s}]}
    api: {url: %q, key: {value: %s}, requests_per_minute: 100000}
%s
`, s.nats, s.access, cloud, webhookHeader, webhookSecret, api, apiKey, s.more)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bridgeBinary, "run", "--config", config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	type addresses struct{ HTTP, Admin string }
	started, exited := make(chan addresses, 1), make(chan struct{})
	var log bytes.Buffer // to be read once the process has exited
	go func() {
		defer close(exited)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			log.WriteString(lines.Text() + "\n")
			var line struct {
				Msg string
				addresses
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "bridge started" {
				started <- line.addresses
			}
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if t.Failed() {
			t.Logf("the bridge's log:\n%s", &log)
		}
	})
	var at addresses
	select {
	case at = <-started:
	case <-exited:
		t.Fatal("the bridge ended at once")
	case <-time.After(patience):
		t.Fatal("the bridge does not start")
	}
	s.admin, s.http = "http://"+at.Admin, "http://"+at.HTTP+"/webhooks/"+cloud
}

func isReady(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll.Until(t, patience, what, ok)
}

// deliver sends a webhook as factro does. When it returns, its event is stored.
func (s *site) deliver(t *testing.T, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.http, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(webhookHeader, webhookSecret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		problem, _ := io.ReadAll(resp.Body)
		t.Fatalf("the webhook is answered with %s: %s", resp.Status, problem)
	}
}

// newTask is the data of a createTask command.
func (s *site) newTask(title string) string {
	data, _ := json.Marshal(map[string]string{"title": title, "targetParentId": s.factro.Demo().Package})
	return string(data)
}

// tasks counts factro's tasks of this title.
func (s *site) tasks(title string) int {
	return s.factro.Count("task", func(o map[string]any) bool { return o["title"] == title })
}

// stored returns the last message of a subject. A stream must have one, or get one soon.
func (s *site) stored(t *testing.T, stream, subject string) *jetstream.RawStreamMsg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var msg *jetstream.RawStreamMsg
	waitFor(t, "a message on "+subject, func() bool {
		held, err := s.js.Stream(ctx, stream)
		if err != nil {
			t.Fatal(err)
		}
		msg, err = held.GetLastMsgForSubject(ctx, subject)
		return err == nil
	})
	return msg
}

// result waits for the result of a command that is no more deferred.
func (s *site) result(t *testing.T, id string) events.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := s.js.OrderedConsumer(ctx, prefix.ResultStream("demo"), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	results, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer results.Stop()
	for {
		m, err := results.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("wait for the result of %s: %v", id, err)
		}
		e, err := events.FromMsg(m.Headers(), m.Data())
		if err != nil {
			t.Fatal(err)
		}
		if e.Extensions()[attr.CausationID] != id || e.Type() == events.ResultTypePrefix+string(events.Deferred) {
			continue
		}
		var r events.Result
		if err := json.Unmarshal(e.Data(), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// program prepares a program that talks with the site's NATS server.
func (s *site) program(t *testing.T, name string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	cmd, stdout, stderr = program(t, name, args...)
	cmd.Env = append(cmd.Env, "NATS_URL="+s.nats)
	return cmd, stdout, stderr
}

// program prepares a program to be run, with what it will print. Nothing of the developer's own configuration gets in.
func program(t *testing.T, name string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "NO_COLOR=1", "PYTHONPATH=" + os.Getenv("PYTHONPATH")}
	cmd.WaitDelay = time.Second
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}
