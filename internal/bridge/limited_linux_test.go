package bridge

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
	"github.com/factro-bridge/factro-bridge/tests/poll"
)

// Limits of the operating system are those of a whole process, so the bridge of these tests has one of its own: the test
// binary, which runs one of them with this variable set to a directory.
const limitedDir = "FACTRO_BRIDGE_TEST_LIMITED"

const (
	limitedSecret  = "a-secret-of-24-characters"
	limitedFiles   = 256
	limitedWaiting = time.Minute
)

// limited is a bridge in a process of its own, with an embedded server.
type limited struct {
	t                 *testing.T
	pid               int
	http, admin, nats string
	in                io.WriteCloser
}

// startLimited starts a bridge with few descriptors and waits until it is ready.
func startLimited(t *testing.T) *limited {
	t.Helper()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	l := &limited{t: t, nats: fmt.Sprintf("127.0.0.1:%d", port)}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), limitedDir+"="+t.TempDir(), limitedDir+"_NATS="+l.nats)
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if l.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.pid = cmd.Process.Pid
	t.Cleanup(func() {
		_ = l.in.Close() // it ends
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("the bridge ended with %v:\n%s", err, words.String())
		}
	})
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); err != nil || json.Unmarshal([]byte(line), &[]any{&l.http, &l.admin}) != nil {
		more, _ := io.ReadAll(said)
		t.Fatalf("the bridge says %q and %q, %v", line, more, err)
	}
	l.eventually("it is ready", func() bool { status, _ := l.ask("/readyz"); return status == http.StatusOK })
	return l
}

// runLimited is the bridge's side. It ends when its standard input does. A line on it takes away the right to write to files.
func runLimited(t *testing.T, dir string) {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	files.Cur = limitedFiles
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // a write that is refused is an error
	cfg := config.Default()
	cfg.NATS.URL, cfg.NATS.Embedded = "", config.Embedded{DataDir: filepath.Join(dir, "nats"), Listen: os.Getenv(limitedDir + "_NATS")}
	cfg.HTTP.Listen, cfg.Admin.Listen, cfg.Roles = "127.0.0.1:0", "127.0.0.1:0", []string{config.RoleIngress}
	cfg.Clouds = []config.Cloud{{Name: "acme", Source: "urn:factro:cloud:acme", Webhook: config.Webhook{Header: "X-Bridge-Key", Secrets: []secret.Source{{Value: limitedSecret}}}}}
	b, err := New(cfg, "test", http.NotFoundHandler(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		t.Fatal(err)
	}
	b.hopeless = 2 * time.Second
	listeners, err := b.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, listeners) }()
	text, err := json.Marshal([]string{listeners.HTTP.Addr().String(), listeners.Admin.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Printf("%s\n", text); err != nil { //nolint:forbidigo // the other process reads it
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 0, Max: ^uint64(0)}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Log(err)
	}
	_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)})
}

// fresh has a connection for each request, as probes do.
var fresh = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (l *limited) do(r *http.Request, err error) (status int, text string) {
	if err != nil {
		l.t.Fatal(err)
	}
	resp, err := fresh.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(all)
}

// ask asks the admin server.
func (l *limited) ask(path string) (status int, text string) {
	return l.do(http.NewRequestWithContext(l.t.Context(), http.MethodGet, "http://"+l.admin+path, http.NoBody))
}

// post delivers a webhook.
func (l *limited) post() (status int, text string) {
	r, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, "http://"+l.http+"/webhooks/acme", strings.NewReader(`{"action":"TaskCreated"}`))
	if err == nil {
		r.Header.Set("X-Bridge-Key", limitedSecret)
	}
	return l.do(r, err)
}

func (l *limited) eventually(what string, is func() bool) {
	l.t.Helper()
	poll.Until(l.t, limitedWaiting, what, is)
}

// TestFewFiles: connections that are idle at any of the listeners take neither the descriptors that webhooks and probes need, nor
// those of the disk.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(limitedDir); dir != "" {
		runLimited(t, dir)
		return
	}
	for listener, of := range map[string]func(*limited) string{
		"webhooks": func(l *limited) string { return l.http },
		"admin":    func(l *limited) string { return l.admin },
		"nats":     func(l *limited) string { return l.nats },
	} {
		l := startLimited(t)
		for range limitedFiles + 50 {
			c, err := net.Dial("tcp", of(l))
			if err != nil {
				t.Fatalf("%s: %v", listener, err)
			}
			t.Cleanup(func() { _ = c.Close() })
		}
		most := 0 // idle connections end by themselves after some seconds, so what counts is how many there ever were
		l.eventually("no connection waits for somebody to take it", func() bool {
			most = max(most, l.descriptors())
			return l.waiting(of(l)) == 0
		})
		if listener == "nats" { // the server counts a connection a moment after it has accepted it, so a burst may have more
			most = 0
		}
		if status, text := l.post(); status != http.StatusAccepted {
			t.Errorf("%s: a webhook is answered %d %s", listener, status, text)
		}
		if status, text := l.ask("/livez"); status != http.StatusOK {
			t.Errorf("%s: /livez is %d %s", listener, status, text)
		}
		l.eventually(listener+": there are descriptors left", func() bool { return l.descriptors() <= limitedFiles-32 })
		if most > limitedFiles-32 {
			t.Errorf("%s: %d of %d descriptors were open", listener, most, limitedFiles)
		}
	}
}

// descriptors is how many the bridge has open.
func (l *limited) descriptors() int {
	l.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", l.pid))
	if err != nil {
		l.t.Fatal(err)
	}
	return len(open)
}

// waiting is how many connections a listener has not accepted yet, by the kernel's table.
func (l *limited) waiting(address string) (n int) {
	l.t.Helper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", l.pid))
	if err != nil {
		l.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		l.t.Fatal(err)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		words := strings.Fields(line)
		if len(words) > 4 && words[3] == "0A" && strings.HasSuffix(words[1], fmt.Sprintf(":%04X", number)) { // it listens
			_, queue, _ := strings.Cut(words[4], ":")
			if _, err := fmt.Sscanf(queue, "%x", &n); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	return n
}

// TestLivezOfABrokenStore: an embedded store that accepts nothing, and that restarts do not fix, fails /livez.
func TestLivezOfABrokenStore(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(limitedDir); dir != "" {
		runLimited(t, dir)
		return
	}
	l := startLimited(t)
	if status, text := l.post(); status != http.StatusAccepted {
		t.Fatalf("a webhook is answered %d %s", status, text)
	}
	if status, text := l.ask("/livez"); status != http.StatusOK {
		t.Fatalf("/livez is %d %s", status, text)
	}
	if _, err := io.WriteString(l.in, "break\n"); err != nil {
		t.Fatal(err)
	}
	l.eventually("/livez says that the store is broken", func() bool {
		if status, _ := l.post(); status == http.StatusAccepted {
			return false // it was not yet
		}
		status, text := l.ask("/livez")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "the embedded NATS server has stored nothing since")
	})
}
