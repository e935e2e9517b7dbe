package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

const (
	cloud         = "acme"
	apiKey        = "key-of-the-chaos-suite"
	webhookSecret = "secret-of-the-chaos-suite"
)

// setting is what rows vary of their surroundings.
type setting struct {
	bridges int      // 1 if zero
	config  string   // further lines of the bridge's configuration
	roles   string   // "ingress, egress" if empty
	spool   bool     // whether the bridges have one
	sim     []string // further flags of the simulator
	fires   bool     // whether the simulator delivers webhooks itself
	lanes   int      // in how many lanes the commands are, 0 for one each
	clouds  []string // one cloud if empty; all have one API key
	quota   int      // requests a minute that factro allows, and that the bridges find out; 0 for no limit
	bound   time.Duration
}

// world is one row's processes and the links between them.
type world struct {
	t    testing.TB
	ctx  context.Context //nolint:containedctx // the row's, which ends all that it began
	dir  string
	logs string
	rng  *rand.Rand
	set  setting

	nats    *process.Process
	sim     *process.Process
	bridges []*node
	inlets  []*proxy // sender to bridge
	core    *proxy   // bridges to factro
	broker  *proxy   // bridges to NATS
	watch   *proxy   // ourselves to NATS, never disturbed
	js      jetstream.JetStream

	hooks    *sender
	commands *commander
	books    *books
	heals    []heal
}

// node is one bridge.
type node struct {
	*process.Process
	w     *world
	n     int
	admin string
	inlet *proxy
	calls *recorder // what it asks factro for
}

// newWorld starts everything and waits until it is ready.
func newWorld(t testing.TB, rng *rand.Rand, set setting) *world {
	t.Helper()
	if len(set.clouds) == 0 {
		set.clouds = []string{cloud}
	}
	w := &world{t: t, dir: t.TempDir(), rng: rng, set: set}
	if set.bound == 0 {
		w.set.bound = 3 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), w.set.bound)
	w.ctx = ctx
	if w.logs = w.dir; *logs != "" {
		w.logs = filepath.Join(*logs, strings.ReplaceAll(t.Name(), "/", "_"))
		must(t, os.MkdirAll(w.logs, 0o700))
	}
	t.Cleanup(func() {
		cancel()
		for _, n := range w.bridges {
			n.Kill()
			if t.Failed() && n.Process != nil {
				t.Logf("the end of bridge %d's log:\n%s", n.n, n.Words())
			}
		}
		w.sim.Kill()
		w.nats.Kill()
	})
	w.core, w.broker, w.watch = newProxy(t), newProxy(t), newProxy(t)
	for i := range max(set.bridges, 1) {
		n := &node{w: w, n: i, inlet: newProxy(t), calls: newRecorder(t, w.core)}
		w.bridges, w.inlets = append(w.bridges, n), append(w.inlets, n.inlet)
	}
	must(t, w.startNATS())
	must(t, w.startSim())
	nc, err := nats.Connect("nats://"+w.watch.address(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	must(t, err)
	t.Cleanup(nc.Close)
	w.js, err = jetstream.New(nc)
	must(t, err)
	for _, n := range w.bridges {
		must(t, n.start())
		must(t, await(w.ctx, "the bridge is ready", func() bool { return n.status("/readyz") == http.StatusOK }))
	}
	must(t, await(w.ctx, "the bucket of pauses is there, which is made last", func() bool { // with a spool, bridges are ready before
		_, err := w.js.KeyValue(w.ctx, "FACTRO_CONTROL")
		return err == nil
	}))
	w.hooks, w.commands, w.books = newSender(w, 20), newCommander(w), newBooks(w)
	return w
}

func (w *world) options(name string) process.Options {
	return process.Options{Name: name, Dir: w.dir, Logs: w.logs}
}

// startNATS starts the server; after the first time on the same data.
func (w *world) startNATS() (err error) {
	var address string
	w.nats, address, err = process.NATS(w.options("nats"), fmt.Sprintf(
		"server_name: chaos\nlisten: \"127.0.0.1:-1\"\nmax_payload: 8MB\njetstream: {store_dir: %q}\n", filepath.Join(w.dir, "nats")))
	if err != nil {
		return err //nolint:wrapcheck // it names the process
	}
	w.broker.aim(address)
	w.watch.aim(address)
	return nil
}

// startSim starts the simulator; after the first time from its journal.
func (w *world) startSim() (err error) {
	args := append([]string{
		*bridge, "sim", "--listen", "127.0.0.1:0", "--key", apiKey, "--quota", strconv.Itoa(cmp.Or(w.set.quota, 10_000_000)),
		"--seed", fmt.Sprint(w.rng.Uint64() | 1), "--state", filepath.Join(w.dir, "sim"),
	}, w.set.sim...)
	if w.set.fires {
		args = append(args, "--webhook", "*,http://"+w.inlets[0].address()+"/webhooks/"+cloud+",X-Bridge-Key,"+webhookSecret)
	}
	o := w.options("sim")
	o.Up = func(line []byte) bool {
		_, rest, ok := strings.Cut(string(line), "http://")
		if ok {
			w.core.aim(strings.TrimSuffix(rest, "/api/core"))
		}
		return ok
	}
	w.sim, err = process.Start(o, args...)
	return err //nolint:wrapcheck // it names the process
}

// start starts a bridge. Its inlet leads to it afterwards.
func (n *node) start(env ...string) (err error) {
	w := n.w
	spool := ""
	if w.set.spool {
		spool = fmt.Sprintf("spool: {dir: %q}\n", filepath.Join(w.dir, fmt.Sprintf("spool-%d", n.n)))
	}
	roles := w.set.roles
	if roles == "" {
		roles = "ingress, egress"
	}
	path := filepath.Join(w.dir, fmt.Sprintf("bridge-%d.yaml", n.n))
	text := fmt.Sprintf(`http: {listen: "127.0.0.1:0", store_timeout: 2s}
admin: {listen: "127.0.0.1:0"}
nats: {url: "nats://%s"}
roles: [%s]
%s%sclouds:
`, w.broker.address(), roles, spool, strings.ReplaceAll(w.set.config, "$dir", w.dir))
	pace := "requests_per_minute: 100000, "
	if w.set.quota > 0 {
		pace = ""
	}
	for _, name := range w.set.clouds {
		text += fmt.Sprintf(`  - name: %s
    webhook: {header: X-Bridge-Key, secrets: [{value: %s}]}
    api: {url: "http://%s/api/core", key: {value: %s}, %stimeout: 5s}
`, name, webhookSecret, n.calls.address(), apiKey, pace)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuration of the bridge: %w", err)
	}
	o := w.options(fmt.Sprintf("bridge-%d", n.n))
	o.Env = env
	o.Up = func(line []byte) bool {
		var l struct{ Msg, HTTP, Admin string }
		if json.Unmarshal(line, &l) != nil || l.Msg != "bridge started" {
			return false
		}
		n.admin = l.Admin
		n.inlet.aim(l.HTTP)
		return true
	}
	n.Process, err = process.Start(o, *bridge, "run", "--config", path)
	return err //nolint:wrapcheck // it names the process
}

// status is that of an answer of the admin server, 0 without one.
func (n *node) status(path string) int {
	status, _ := n.get(path)
	return status
}

var admins = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}

// get asks the admin server.
func (n *node) get(path string) (status int, body string) {
	req, err := http.NewRequestWithContext(n.w.ctx, http.MethodGet, "http://"+n.admin+path, http.NoBody)
	if err != nil {
		return 0, ""
	}
	resp, err := admins.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(text)
}

// metric is the sum of all series of a name, and whether there is one.
func (n *node) metric(name string) (sum float64, there bool) {
	_, body := n.get("/metrics")
	for line := range strings.Lines(body) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		base, _, _ := strings.Cut(series, "{")
		if !ok || base != name {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			sum, there = sum+math.Abs(v), true
		}
	}
	return sum, there
}

// heal is when a disturbance began and when it was over.
type heal struct{ hit, over time.Time }

// disturb does something to the world, and what takes it back, and remembers when.
func (w *world) disturb(hit func(), lasting time.Duration, undo func() error) {
	w.t.Helper()
	h := heal{hit: time.Now()}
	hit()
	w.pause(lasting)
	if err := undo(); err != nil {
		if w.ctx.Err() != nil {
			err = fmt.Errorf("the row's time of %s is over", w.set.bound)
		}
		w.t.Fatal(err)
	}
	h.over = time.Now()
	w.heals = append(w.heals, h)
}

// between is a random time.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)))
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
