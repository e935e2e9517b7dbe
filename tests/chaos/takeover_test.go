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
	all   []exchange
}

// exchange is any request of a bridge. The end is zero while it is in flight, the status 0 without an answer.
type exchange struct {
	began, ended time.Time
	status       int
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
	r.server = httptest.NewServer(http.HandlerFunc(func(plain http.ResponseWriter, req *http.Request) {
		w := &noting{ResponseWriter: plain}
		defer r.begin(w)()
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

// noting keeps the status of an answer.
type noting struct {
	http.ResponseWriter
	status int
}

func (w *noting) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// begin keeps that a request has come, and the function that it returns, how it ended.
func (r *recorder) begin(w *noting) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := len(r.all)
	r.all = append(r.all, exchange{began: time.Now()})
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all[at].ended, r.all[at].status = time.Now(), w.status
	}
}

// requests are all requests that came so far.
func (r *recorder) requests() []exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
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

// takesOver waits for the next call of a bridge that stood by, which has to come within a time.
func (n *node) takesOver(what string, since time.Time, within time.Duration) {
	n.w.t.Helper()
	var took time.Duration
	must(n.w.t, await(n.w.ctx, "the other bridge goes on", func() bool {
		all := n.calls.requests()
		at := slices.IndexFunc(all, func(e exchange) bool { return e.began.After(since) })
		if at < 0 {
			return false
		}
		took = all[at].began.Sub(since)
		return true
	}))
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
	calls := 0
	for _, e := range n.calls.requests() { // also those that look for something
		if e.began.After(from) && e.began.Before(to) {
			calls++
		}
	}
	return calls
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
	{name: "takeover with a backlog", short: 2, long: 20, strike: replaceUnderBacklog},
}

// backlog is the first number of the commands that wait.
const backlog = 1_000_000

// replaceUnderBacklog is replace while many more commands wait than are carried out.
func replaceUnderBacklog(w *world, times int) {
	w.faults(`[{"kind":"latency","delay":"50ms"}]`)
	var pile []order
	for n := range 1000 + 500*times {
		pile = append(pile, changes(backlog+n).with(fmt.Sprintf("pile-%d", n%w.set.lanes)))
	}
	w.commands.pile(pile)
	for range times / 2 {
		replace(w, 2)
		stream, err := w.js.Stream(w.ctx, prefix.CommandStream(cloud))
		must(w.t, err)
		if left := stream.CachedInfo().State.Msgs; left < 1000 {
			w.t.Errorf("only %d commands are left after the takeover", left)
		}
	}
}

// TestTakeover has two bridges work on commands in lanes, one at a time, and takes the one that works away. The other one goes on within
// ten seconds of a kill or a freeze, and within two of a polite stop. Each command is carried out once, and each lane is in order.
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
			w.finish(f.name, 44+i, times)
			w.inOrder()
			w.wantOrder(func(n int) int {
				if n >= backlog {
					return -1 - n%w.set.lanes
				}
				return n % w.set.lanes
			})
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
