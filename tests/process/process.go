// Package process starts and ends the programs of the suites that test the bridge from outside: the bridge itself, the
// simulator and NATS servers.
package process

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

// StartTimeout bounds how long a process may take until it says that it is up.
const StartTimeout = 30 * time.Second

// Options say how a program is started.
type Options struct {
	Name string   // of the process, in messages and of its log file
	Dir  string   // its home, and where its temporary files go
	Logs string   // the folder of its log file; Dir if empty
	Env  []string // beside PATH, HOME and TMPDIR
	// Up says of a line of the output whether the process is up. If it is nil, the process is up at once.
	Up func(line []byte) bool
	// Never are texts that the output must not have; see Leaked.
	Never [][]byte
}

// Process is a program that we started. All methods of a nil Process do nothing.
type Process struct {
	Name   string
	cmd    *exec.Cmd
	exited chan struct{}
	exit   error // how it ended, once exited is closed
	log    string
	never  [][]byte

	mu     sync.Mutex
	last   bytes.Buffer // the end of what it printed that is more than information
	leaked []string
}

// Start starts a program and returns when it is up. Its standard input stays open as long as we live, so that a program
// of ours can end with us.
func Start(o Options, args ...string) (*Process, error) {
	if o.Logs == "" {
		o.Logs = o.Dir
	}
	p := &Process{
		Name: o.Name, cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{}),
		log: filepath.Join(o.Logs, o.Name+".log"), never: o.Never,
	}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.Dir, "TMPDIR=" + o.Dir}, o.Env...)
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	keep, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", o.Name, err), keep.Close())
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
			if line = bytes.TrimSpace(line); !heard && o.Up != nil && len(line) > 0 && o.Up(line) {
				heard = true
				close(up)
			}
			if err != nil {
				break
			}
		}
		p.exit = p.cmd.Wait()
	}()
	if o.Up == nil {
		return p, nil
	}
	select {
	case <-up:
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("%s ended at once: %w\n%s", o.Name, p.exit, p.Words())
	case <-time.After(StartTimeout):
		p.Kill()
		return nil, fmt.Errorf("%s does not start:\n%s", o.Name, p.Words())
	}
}

// Suite runs a suite that was asked for: it builds the program, unless binary names one already, and returns what run does.
func Suite(name string, binary *string, run func() int, flags ...string) int {
	dir, err := os.MkdirTemp("", "factro-bridge-"+name+"-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if *binary == "" {
		*binary = filepath.Join(dir, "bridge")
		if err := build(*binary, flags...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return run()
}

// build builds the bridge, for a test in a folder of tests. flags are further ones of "go build", such as tags.
func build(path string, flags ...string) error {
	args := append(append([]string{"build"}, flags...), "-o", path, "../../cmd/bridge")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the bridge: %w\n%s", err, out)
	}
	return nil
}

// Kill ends the process as a crash does.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// Ended says whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Signal sends the process a signal.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Terminate asks the process to end, and kills it when the bound is over.
func (p *Process) Terminate(bound time.Duration) (took time.Duration, err error) {
	began := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-p.exited:
		if p.exit != nil {
			return time.Since(began), fmt.Errorf("%s ended with %w", p.Name, p.exit)
		}
		return time.Since(began), nil
	case <-time.After(bound):
		p.Kill()
		return bound, fmt.Errorf("%s was still there %s after SIGTERM and had to be killed", p.Name, bound)
	}
}

// Memory is what the process holds now and what it held at most, in bytes; zeros if it is gone.
func (p *Process) Memory() (now, peak int) {
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

// Descriptors is how many files and connections the process has open.
func (p *Process) Descriptors() int {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(open)
}

// hear keeps what may be needed of a line.
func (p *Process) hear(line []byte) {
	const most = 8 << 10
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, never := range p.never {
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

// Leaked are the first lines of the output that have what it must not have.
func (p *Process) Leaked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.leaked...)
}

// Words are the end of the output, without the lines that only inform.
func (p *Process) Words() string {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.String()
}

// Logged says whether the end of the output, without the lines that only inform, has the text.
func (p *Process) Logged(text string) bool { return strings.Contains(p.Words(), text) }

// Log is the whole output so far, that of earlier processes of the same name and folder included.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
