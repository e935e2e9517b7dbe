package hostile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds how long a process may take until it says where it listens.
const startTimeout = 30 * time.Second

// process is a program that we started.
type process struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{}
	exit   error // how it ended, once exited is closed

	mu     sync.Mutex
	last   bytes.Buffer // the end of what it printed that is more than information
	leaked []string     // lines that no log may have
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
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadBytes('\n')
			_, _ = keep.Write(line) // a log for people
			p.hear(line)
			if line = bytes.TrimSpace(line); !heard && len(line) > 0 && said(line) {
				heard = true
				close(up)
			}
			if err != nil {
				break
			}
		}
		p.exit = p.cmd.Wait()
	}()
	select {
	case <-up:
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("%s ended at once: %w\n%s", name, p.exit, p.words())
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

// terminate asks the process to end, and kills it when the bound is over.
func (p *process) terminate(bound time.Duration) (took time.Duration, err error) {
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		if p.exit != nil {
			return time.Since(began), fmt.Errorf("%s ended with %w", p.name, p.exit)
		}
		return time.Since(began), nil
	case <-time.After(bound):
		p.kill()
		return bound, fmt.Errorf("%s was still there %s after SIGTERM and had to be killed", p.name, bound)
	}
}

// memory is what the process holds now and what it held at most, in bytes; zeros if it is gone.
func (p *process) memory() (now, peak int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	field := func(name string) int {
		_, rest, _ := strings.Cut(string(status), "\n"+name+":")
		rest, _, _ = strings.Cut(rest, " kB")
		n, _ := strconv.Atoi(strings.TrimSpace(rest)) // a zombie has none
		return n << 10
	}
	return field("VmRSS"), field("VmHWM")
}

// descriptors is how many files and connections the process has open.
func (p *process) descriptors() int {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(open)
}

// hear keeps what may be needed of a line.
func (p *process) hear(line []byte) {
	const most = 8 << 10
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, never := range never {
		if bytes.Contains(line, never) && len(p.leaked) < 5 {
			p.leaked = append(p.leaked, string(line[:min(len(line), 400)]))
		}
	}
	if bytes.Contains(line, []byte(`"level":"INFO"`)) {
		return
	}
	p.last.Write(line)
	if over := p.last.Len() - most; over > 0 {
		p.last.Next(over)
	}
}

func (p *process) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.String()
}

// logged says whether the end of the log, without the lines that only inform, has the text.
func (p *process) logged(text string) bool { return strings.Contains(p.words(), text) }
