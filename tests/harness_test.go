package tests

import (
	"bufio"
	"bytes"
	"cmp"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/tests/poll"
)

// patience bounds every wait. It is not a duration that a test takes: all wait for what they want to see.
const patience = time.Minute

// Secrets that must never be seen in a log.
const (
	webhookSecret = "webhook-secret-7f3a91"
	apiKey        = "api-key-52c8e0"
	payloadMarker = "payload-marker-c41d"
)

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	poll.Until(t, patience, what, ok)
}

// factro is a running simulator.
type factro struct {
	*sim.Sim
	url  string
	demo sim.Seeded
}

func startFactro(t testing.TB, cfg sim.Config) *factro {
	t.Helper()
	if cfg.Key == "" {
		cfg.Key = apiKey
	}
	if cfg.Quota == 0 {
		cfg.Quota = 1_000_000 // the tests of the budget set it
	}
	s, err := sim.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return &factro{s, "http://" + l.Addr().String() + "/api/core", s.Demo()}
}

// bridge is the binary as a process.
type bridge struct {
	t            testing.TB
	cmd          *exec.Cmd
	http, admin  string // base URLs
	log          *logBuffer
	exited       chan struct{}
	exit         error
	secrets      []string
	keyFile      string
	configFile   string
	env          []string
	binary       string // another build than the usual one
	httpAddress  string
	adminAddress string
}

// bridgeConfig is what the tests vary of a configuration.
type bridgeConfig struct {
	nats   string
	clouds map[string]string // name -> Core API
	rpm    int
	env    []string
	roles  string // all but reconcile if it is empty: its readings would be among the requests that tests count
	more   string // further settings
}

// newBridge writes the configuration of a bridge; start starts it.
func newBridge(t testing.TB, c bridgeConfig) *bridge {
	t.Helper()
	dir := t.TempDir()
	b := &bridge{
		t: t, log: &logBuffer{}, secrets: []string{webhookSecret, apiKey}, keyFile: filepath.Join(dir, "key"),
		configFile: filepath.Join(dir, "bridge.yaml"), httpAddress: "127.0.0.1:0", adminAddress: "127.0.0.1:0", env: c.env,
	}
	writeFile(t, b.keyFile, apiKey)
	if c.rpm == 0 {
		c.rpm = 100_000
	}
	var clouds strings.Builder
	for name, url := range c.clouds {
		fmt.Fprintf(&clouds, `
  - name: %s
    webhook: {header: X-Bridge-Key, secrets: [{value: %s-%s}]}
    api: {url: %q, key: {file: %q}, requests_per_minute: %d, timeout: 5s}`, name, webhookSecret, name, url, b.keyFile, c.rpm)
	}
	roles := cmp.Or(c.roles, "ingress, egress, query")
	writeFile(t, b.configFile, fmt.Sprintf("nats: {url: %q}\nlog: {level: debug}\nroles: [%s]\n%s\nclouds:%s\n", c.nats, roles, c.more, clouds.String()))
	return b
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the process, waits until it is ready and checks at the end of the test that it logged no secret.
func (b *bridge) start() *bridge {
	b.t.Helper()
	b.launch()
	waitFor(b.t, "the bridge is ready", func() bool { return b.ready() || b.isOver() })
	if b.isOver() {
		b.t.Fatalf("the bridge ended: %v\n%s", b.exit, b.log)
	}
	return b
}

// launch starts the process and waits until it listens.
func (b *bridge) launch() {
	b.t.Helper()
	b.cmd = exec.Command(cmp.Or(b.binary, binary), "run", "--config", b.configFile)
	b.cmd.Env = append(os.Environ(), "FACTRO_BRIDGE_HTTP_LISTEN="+b.httpAddress, "FACTRO_BRIDGE_ADMIN_LISTEN="+b.adminAddress)
	b.cmd.Env = append(b.cmd.Env, b.env...)
	stderr, err := b.cmd.StderrPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	started := make(chan struct{ HTTP, Admin string }, 1)
	b.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			b.log.add(lines.Text())
			var line struct{ Msg, HTTP, Admin string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "bridge started" {
				started <- struct{ HTTP, Admin string }{line.HTTP, line.Admin}
			}
		}
		b.exit = cmd.Wait()
	}(b.cmd, b.exited)
	select {
	case at := <-started:
		if b.http == "" { // a restart takes the same ports; senders may be reading this
			b.httpAddress, b.adminAddress = at.HTTP, at.Admin
			b.http, b.admin = "http://"+at.HTTP, "http://"+at.Admin
		}
	case <-b.exited:
		b.t.Fatalf("the bridge ended at once: %v\n%s", b.exit, b.log)
	case <-time.After(patience):
		b.t.Fatalf("the bridge does not start\n%s", b.log)
	}
	b.t.Cleanup(func() {
		if !b.isOver() {
			b.kill()
		}
		b.checkLog()
	})
}

func (b *bridge) isOver() bool {
	select {
	case <-b.exited:
		return true
	default:
		return false
	}
}

// checkLog is the test that no secret and no payload was ever logged.
func (b *bridge) checkLog() {
	b.t.Helper()
	text := b.log.String()
	for _, secret := range append(b.secrets, payloadMarker) {
		if strings.Contains(text, secret) {
			b.t.Errorf("the log shows %q", secret)
		}
	}
	if strings.Contains(text, "WARNING: DATA RACE") || strings.Contains(text, "panic:") {
		b.t.Errorf("the bridge raced or panicked:\n%s", text)
	}
}

func (b *bridge) ready() bool {
	status, _ := b.get("/readyz")
	return status == http.StatusOK
}

// get asks the admin server.
func (b *bridge) get(path string) (status int, body string) {
	resp, err := http.Get(b.admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// terminate asks the process to stop and returns its exit error.
func (b *bridge) terminate() error {
	b.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	select {
	case <-b.exited:
		return b.exit
	case <-time.After(patience):
		b.t.Fatalf("the bridge does not stop\n%s", b.log)
		return nil
	}
}

// kill ends the process as a crash does.
func (b *bridge) kill() {
	_ = b.cmd.Process.Kill()
	<-b.exited
}

// register has the simulated factro call the bridge's webhooks.
func (b *bridge) register(f *factro, cloud string) {
	b.t.Helper()
	w := sim.Webhook{URL: b.http + "/webhooks/" + cloud, Action: "*", Header: "X-Bridge-Key", Value: webhookSecret + "-" + cloud}
	if err := f.Register(w); err != nil {
		b.t.Fatal(err)
	}
}

// webhook delivers a body as factro would and returns the status, 0 if there was no answer.
func (b *bridge) webhook(client *http.Client, cloud, body string) int {
	req, err := http.NewRequest(http.MethodPost, b.http+"/webhooks/"+cloud, strings.NewReader(body))
	if err != nil {
		b.t.Error(err)
		return 0
	}
	req.Header.Set("X-Bridge-Key", webhookSecret+"-"+cloud)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// logBuffer holds what a process logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.WriteString(line + "\n")
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
