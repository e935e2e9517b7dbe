package javascript

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// nodeAbsent says why Node cannot run the program, or is empty.
var nodeAbsent string

// nodeMajor is the oldest Node that the packages run on.
const nodeMajor = 20

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if nodeAbsent = lookForNode(); nodeAbsent == "" && !installed() {
		if out, err := exec.Command("npm", "ci", "--no-progress").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "npm ci: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// lookForNode returns why there is no usable Node, or "".
func lookForNode() string {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is not installed"
		}
	}
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return fmt.Sprintf("node --version: %v", err)
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < nodeMajor {
		return fmt.Sprintf("node is %s, want %d or newer", version, nodeMajor)
	}
	return ""
}

// installed tells whether the npm packages are those of the lock file: npm writes its own copy of it when it is done.
func installed() bool {
	want, err := os.Stat("package-lock.json")
	if err != nil {
		return false
	}
	got, err := os.Stat("node_modules/.package-lock.json")
	return err == nil && got.ModTime().After(want.ModTime())
}

// program is a running copy of changes.mjs, and what it prints.
type program struct {
	cmd    *exec.Cmd
	lines  chan string
	stderr *bytes.Buffer
}

// start runs the program beside a server.
func start(t *testing.T, n *natstest.Server, args ...string) *program {
	t.Helper()
	p := &program{exec.Command("node", append([]string{"changes.mjs"}, args...)...), make(chan string, 1000), &bytes.Buffer{}}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NATS_URL=" + n.URL()}
	p.cmd.Stderr, p.cmd.WaitDelay = p.stderr, time.Second
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-ended
		_ = p.cmd.Wait() // a test that waited for it already has its error
		if t.Failed() {
			t.Logf("the program's errors:\n%s", p.stderr)
		}
	})
	return p
}

// next waits for the next line.
func (p *program) next(t *testing.T) string {
	t.Helper()
	line, more := "", false
	select {
	case line, more = <-p.lines:
	case <-time.After(natstest.Patience):
	}
	if !more {
		t.Fatal("the program prints no more")
	}
	return line
}

// stop ends the program as Ctrl-C does, and returns what it printed since the last line.
func (p *program) stop(t *testing.T) (rest []string) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for line := range p.lines {
		rest = append(rest, line)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v after an interrupt", err)
	}
	return rest
}

// kill ends the program at once, and returns what it printed since the last line.
func (p *program) kill() (rest []string) {
	_ = p.cmd.Process.Kill()
	for line := range p.lines {
		rest = append(rest, line)
	}
	return rest
}
