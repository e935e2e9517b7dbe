package hostile

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// sample is one answer of a probe.
type sample struct {
	at     time.Time
	path   string
	status int // 0 without an answer
	body   string
	took   time.Duration
	wrong  bool
}

// probes ask /livez and /readyz of a bridge from its start to its end, as an orchestrator does, and keep all answers. What
// the truth is, the row says: 200 unless it says something else.
type probes struct {
	n    *node
	end  context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	truth map[string][]int // by path, the statuses that are true now
	all   []sample
}

func startProbes(w *world, n *node) *probes {
	ctx, cancel := context.WithCancel(w.ctx)
	p := &probes{n: n, end: cancel, truth: map[string][]int{"/livez": {http.StatusOK}, "/readyz": {http.StatusOK}}}
	for path := range p.truth {
		p.done.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				p.ask(ctx, path)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	return p
}

// expect says which statuses are true from now on; 0 stands for no answer. An answer to a question that was asked before
// may still be the truth of that time.
func (p *probes) expect(path string, statuses ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.truth[path] = statuses
}

func (p *probes) stop() {
	if p == nil {
		return
	}
	p.end()
	p.done.Wait()
}

func (p *probes) true(path string) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.truth[path]
}

func (p *probes) ask(ctx context.Context, path string) {
	before, s := p.true(path), sample{at: time.Now(), path: path}
	asking, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s.status, s.body = ask(asking, "http://"+p.n.admin+path)
	if ctx.Err() != nil {
		return // the row is over, and not the bridge
	}
	s.took = time.Since(s.at)
	s.wrong = !slices.Contains(before, s.status) && !slices.Contains(p.true(path), s.status)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, s)
}

// samples are all answers so far.
func (p *probes) samples() []sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// verdict is what was not true.
func (p *probes) verdict() error {
	all, wrong := p.samples(), []string{}
	for _, s := range all {
		if s.wrong {
			wrong = append(wrong, fmt.Sprintf("%s %s: %d after %s: %.200s", s.at.Format("15:04:05.000"), s.path, s.status, s.took.Round(time.Millisecond), s.body))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d probes of %s were not true, first:\n%s", len(wrong), len(all), p.n.Name, strings.Join(wrong[:min(len(wrong), 5)], "\n"))
}
