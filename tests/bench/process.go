package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that we started.
type process struct {
	name   string
	log    string // file with what it printed
	cmd    *exec.Cmd
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
}

// spawn starts a program of ours. It sees only the environment that is given, so that no setting of the caller's shell
// changes what is measured; its output goes to a file, as under a service manager.
func (b *bench) spawn(ctx context.Context, name string, env []string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(b.dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close() //nolint:errcheck // the program has its own handle
	ctx, p.cancel = context.WithCancel(ctx)
	p.cmd = exec.CommandContext(ctx, b.binary(name), args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir}, env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 15 * time.Second
	if err := p.cmd.Start(); err != nil {
		p.cancel()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // whether it ended well does not matter; that it ended does
		close(p.done)
	}()
	return p, nil
}

// stop ends the process and waits for it. A nil process has ended already.
func (p *process) stop() {
	if p == nil {
		return
	}
	p.cancel()
	<-p.done
}

// await polls until the process is what it should be. It gives up at once when the process has ended.
func (p *process) await(ctx context.Context, what string, is func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	defer close(watched)
	go func() {
		select {
		case <-p.done:
			cancel(fmt.Errorf("%s has ended: %s", p.name, p.lastWords()))
		case <-watched:
		}
	}()
	return poll(ctx, p.name+": "+what, 10*time.Millisecond, is)
}

// prober asks whether somebody is there.
var prober = &http.Client{Timeout: time.Second}

// answers returns a condition for await: a GET of the address is answered with the status.
func answers(url string, status int) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := prober.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != status {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}
}

func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// footprint is what a process has used so far.
type footprint struct {
	cpu             time.Duration // user and system
	peak, rss, anon float64       // MiB: the most it ever held, what it holds, and what of that is no file
}

func (p *process) footprint() (footprint, error) {
	var u footprint
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, fmt.Errorf("usage of %s: %w", p.name, err)
	}
	// The name, in parentheses, can hold anything; the numbers come after it. utime and stime are the 14th and 15th
	// field of all, in hundredths of a second on every Linux that there is.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("usage of %s: stat has %d fields", p.name, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return u, fmt.Errorf("usage of %s: %w", p.name, err)
	}
	u.cpu = time.Duration(user+system) * 10 * time.Millisecond
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return u, fmt.Errorf("usage of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*float64{"VmHWM": &u.peak, "VmRSS": &u.rss, "RssAnon": &u.anon}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return u, fmt.Errorf("usage of %s: %s: %w", p.name, name, err)
		}
		*into = kib / 1024
	}
	return u, nil
}
