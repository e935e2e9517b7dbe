package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// call is a request of a bridge that creates something.
type call struct {
	at     time.Time
	number int // of the command
}

// recorder stands between one bridge and factro, and keeps which creates came when.
type recorder struct {
	server *httptest.Server

	mu    sync.Mutex
	calls []call
}

func newRecorder(t testing.TB, core *proxy) *recorder {
	t.Helper()
	r := &recorder{}
	forward := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", core.address()
			p.Out.Host = p.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // a broken link stays one
		Transport:    &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 10},
	}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		var made struct{ Title string }
		var number int
		if req.Method == http.MethodPost && json.Unmarshal(body, &made) == nil {
			if _, err := fmt.Sscanf(made.Title, "Prüfung %d", &number); err == nil {
				r.mu.Lock()
				r.calls = append(r.calls, call{time.Now(), number})
				r.mu.Unlock()
			}
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

func (r *recorder) address() string { return strings.TrimPrefix(r.server.URL, "http://") }

// between are the calls of a time.
func (r *recorder) between(from, to time.Time) (out []call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.at.After(from) && c.at.Before(to) {
			out = append(out, c)
		}
	}
	return out
}

// active waits until one of two bridges works on the commands and the other stands by, and returns them.
func (w *world) active() (works, waits *node) {
	w.t.Helper()
	must(w.t, await(w.ctx, "one bridge works and the other stands by", func() bool {
		var have [2]float64
		for i, n := range w.bridges {
			var there bool
			if have[i], there = n.metric("factro_bridge_active"); !there {
				return false
			}
			if peers, _ := n.gauge("factro_bridge_peers"); peers != 2 {
				return false
			}
		}
		works, waits = w.bridges[0], w.bridges[1]
		if have[1] == 1 {
			works, waits = waits, works
		}
		return have[0]+have[1] == 1
	}))
	return works, waits
}

// gauge is a metric without labels.
func (n *node) gauge(name string) (value float64, there bool) {
	_, body := n.get("/metrics")
	for line := range strings.Lines(body) {
		if _, err := fmt.Sscanf(line, name+" %g", &value); err == nil {
			return value, true
		}
	}
	return 0, false
}

// takesOver waits for the next create of a bridge, which has to come within a time.
func (n *node) takesOver(what string, since time.Time, within time.Duration) {
	n.w.t.Helper()
	err := await(n.w.ctx, "the other bridge goes on", func() bool { return len(n.calls.between(since, time.Now())) > 0 })
	must(n.w.t, err)
	took := n.calls.between(since, time.Now())[0].at.Sub(since)
	n.w.t.Logf("%s: the other one goes on after %s", what, took.Round(10*time.Millisecond))
	if took > within {
		n.w.t.Errorf("%s: the other one goes on after %s, and not within %s", what, took, within)
	}
}

// freeze stops the bridge that works for longer than its lease holds, and has it go on while the other one works in its place. The
// frozen one may call for nothing until that one is frozen.
func freeze(w *world, times int) {
	var last *node
	var awoke time.Time
	for range times {
		w.pause(w.between(200*time.Millisecond, time.Second))
		works, waits := w.active()
		froze := time.Now()
		if calls := last.callsSince(awoke, froze); calls > 0 && last != works {
			w.t.Errorf("a bridge that stood still made %d calls after it awoke", calls)
		}
		w.disturb(func() { must(w.t, works.Signal(syscall.SIGSTOP)) }, 8*time.Second, func() error {
			waits.takesOver("frozen", froze, 10*time.Second)
			awoke = time.Now()
			return works.Signal(syscall.SIGCONT)
		})
		last = works
	}
	w.pause(3 * time.Second)
	if calls := last.callsSince(awoke, time.Now()); calls > 0 {
		w.t.Errorf("a bridge that stood still made %d calls after it awoke", calls)
	}
}

func (n *node) callsSince(from, to time.Time) int {
	if n == nil {
		return 0
	}
	return len(n.calls.between(from, to))
}

// replace kills the bridge that works, or stops it gracefully, by turns.
func replace(w *world, times int) {
	for i := range times {
		w.pause(w.between(200*time.Millisecond, time.Second))
		works, waits := w.active()
		struck := time.Now()
		w.disturb(func() {
			if i%2 == 0 {
				works.Kill()
				waits.takesOver("killed", struck, 10*time.Second)
				return
			}
			_, err := works.Terminate(10 * time.Second)
			must(w.t, err)
			waits.takesOver("stopped", time.Now(), 2*time.Second)
		}, 0, func() error { return works.start() })
	}
}

// takeovers are the rows with two bridges while one works.
var takeovers = []fault{
	{name: "frozen bridge", short: 2, long: 20, strike: freeze},
	{name: "takeover with lanes", short: 4, long: 60, strike: replace},
}

// TestTakeover has two bridges work on commands in lanes, one at a time, and takes the one that works away: no command twice, and no
// lane out of order.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for i, f := range takeovers {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			set := setting{bridges: 2, roles: "egress", lanes: 10, sim: []string{"--fault", "latency,op=createTask,delay=200ms"}}
			w, times := begin(t, set, f.short, f.long)
			halt := w.commands.start(20, 0, false)
			f.strike(w, times)
			halt()
			w.finish(f.name, 40+i, times)
			w.inOrder()
		})
	}
}

// inOrder wants the calls of all bridges to be in the order of the commands, in each lane.
func (w *world) inOrder() {
	w.t.Helper()
	var all []call
	for _, n := range w.bridges {
		all = append(all, n.calls.between(time.Time{}, time.Now())...)
	}
	slices.SortFunc(all, func(a, b call) int { return a.at.Compare(b.at) })
	last := map[int]int{}
	for _, c := range all {
		lane := c.number % w.set.lanes
		if c.number < last[lane] {
			w.t.Errorf("lane %d: command %d was called after command %d", lane, c.number, last[lane])
		}
		last[lane] = max(last[lane], c.number)
	}
	if len(all) == 0 {
		w.t.Error("no call was recorded")
	}
}
