package chaos

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// startTimeout bounds how long a process may take until it says where it listens.
const startTimeout = 30 * time.Second

// process is a program that we started.
type process struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{}

	mu   sync.Mutex
	last bytes.Buffer // the end of what it printed that is more than information
}

// launch starts a program and returns when it has printed a line that said is happy with. Its standard input stays open
// as long as we live, so that a program of ours can end with us.
func launch(w *world, name string, env []string, said func(line []byte) bool, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir}, env...)
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	keep, err := os.OpenFile(filepath.Join(w.logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), keep.Close())
	}
	up := make(chan struct{})
	go func() {
		defer close(p.exited)
		defer keep.Close() //nolint:errcheck // a log for people
		heard := false
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			_, _ = keep.Write(append(lines.Bytes(), '\n')) // a log for people
			if !bytes.Contains(lines.Bytes(), []byte(`"level":"INFO"`)) {
				p.remember(lines.Bytes())
			}
			if !heard && said(lines.Bytes()) {
				heard = true
				close(up)
			}
		}
		_ = p.cmd.Wait() // how it ended is not the question; most of them are killed
	}()
	select {
	case <-up:
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("%s ended at once:\n%s", name, p.words())
	case <-time.After(startTimeout):
		p.kill()
		return nil, fmt.Errorf("%s does not start:\n%s", name, p.words())
	}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// gone says whether the process has ended.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

func (p *process) remember(line []byte) {
	const most = 8 << 10
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last.Write(append(line, '\n'))
	if over := p.last.Len() - most; over > 0 {
		p.last.Next(over)
	}
}

func (p *process) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.String()
}

// await polls until ok, and says what was waited for in vain.
func await(ctx context.Context, what string, ok func() bool) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// must fails the row for a mistake of the surroundings.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pause lets time go by: the times of faults are what is random here, and nothing is concluded from their end.
func (w *world) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
	}
}
