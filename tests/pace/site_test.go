package pace

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	ids "github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/tests/process"
)

const cloud = "acme"

// site is what one case runs: NATS, a bridge, a factro, and what is known of the commands.
type site struct {
	t      testing.TB
	factro *factro
	js     jetstream.JetStream
	bridge *process.Process
	admin  string

	mu    sync.Mutex
	sent  map[string]time.Time // when each command was stored
	done  map[string]time.Time // when its final result came
	told  []notice
	wrong []string // final results other than applied
}

// notice is a deferred result.
type notice struct {
	id          string
	at, retryAt time.Time
	code        string
}

// newSite starts NATS and factro. The bridge is started by start.
func newSite(t testing.TB, cfg sim.Config) *site {
	t.Helper()
	s := &site{t: t, sent: map[string]time.Time{}, done: map[string]time.Time{}}
	cfg.Examples = true
	s.factro = startFactro(t, cfg)
	dir := t.TempDir()
	server, address, err := process.NATS(s.options("nats"), fmt.Sprintf("server_name: pace\nlisten: \"127.0.0.1:-1\"\njetstream: {store_dir: %q}\n", filepath.Join(dir, "nats")))
	must(t, err)
	t.Cleanup(server.Kill)
	nc, err := nats.Connect("nats://" + address)
	must(t, err)
	t.Cleanup(nc.Close)
	s.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(20_000))
	must(t, err)
	_, err = nc.Subscribe(events.DefaultPrefix+".result."+cloud+".>", s.result)
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) options(name string) process.Options {
	return process.Options{Name: s.name() + "-" + name, Dir: s.t.TempDir(), Logs: *logs}
}

func (s *site) name() string {
	return strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(s.t.Name())
}

// start starts the bridge, and returns when it works.
func (s *site) start(api string) {
	s.t.Helper()
	o := s.options("bridge")
	path := filepath.Join(o.Dir, "bridge.yaml")
	must(s.t, os.WriteFile(path, []byte(fmt.Sprintf(`http: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
nats: {url: %q}
clouds:
  - name: %s
    webhook: {header: X-Bridge-Key, secrets: [{value: a-secret-that-nobody-uses}]}
    api: {url: "%s/api/core", key: {value: %s}%s}
`, s.js.Conn().ConnectedUrl(), cloud, s.factro.server.URL, apiKey, api)), 0o600))
	o.Up = func(line []byte) bool {
		var l struct{ Msg, Admin string }
		if json.Unmarshal(line, &l) != nil || l.Msg != "bridge started" {
			return false
		}
		s.admin = l.Admin
		return true
	}
	var err error
	s.bridge, err = process.Start(o, *bridge, "run", "--config", path)
	must(s.t, err)
	s.t.Cleanup(s.bridge.Kill)
}

// streams creates the stream of commands as the bridge does, by starting one that has nothing to do.
func (s *site) streams(api string) {
	s.t.Helper()
	s.start(api)
	s.until(time.Minute, "the streams are there", func() bool {
		_, err := s.js.Stream(s.t.Context(), events.Prefix(events.DefaultPrefix).CommandStream(cloud))
		return err == nil
	})
	_, err := s.bridge.Terminate(time.Minute)
	must(s.t, err)
}

// until waits for something.
func (s *site) until(bound time.Duration, what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(bound); !is(); {
		if time.Now().After(end) {
			s.t.Fatalf("not within %s: %s", bound, what)
		}
		if s.bridge != nil && s.bridge.Ended() {
			s.t.Fatalf("the bridge has ended: %s", s.bridge.Words())
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.t.Context().Done():
			s.t.FailNow()
		}
	}
}

// command is a create with an id that is also its title.
func command(id, source, priority string) *nats.Msg {
	msg := nats.NewMsg(events.Prefix(events.DefaultPrefix).Command(cloud, "task", "createTask"))
	msg.Data = fmt.Appendf(nil, `{"title":%q,"targetParentId":%q}`, id, ids.ExamplePackage)
	attributes := map[string]string{"specversion": "1.0", "id": id, "source": source, "type": events.CommandTypePrefix + "createTask"}
	if priority != "" {
		attributes[attr.Priority] = priority
	}
	for name, value := range attributes {
		msg.Header["ce-"+name] = []string{value}
	}
	return msg
}

// fill stores a backlog.
func (s *site) fill(n int, source string) {
	s.t.Helper()
	began := time.Now()
	var acks []jetstream.PubAckFuture
	for i := range n {
		id := source + "-" + strconv.Itoa(i)
		ack, err := s.js.PublishMsgAsync(command(id, source, ""))
		must(s.t, err)
		acks = append(acks, ack)
		s.mu.Lock()
		s.sent[id] = time.Now()
		s.mu.Unlock()
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			s.t.Fatal(err)
		}
	}
	s.t.Logf("%d commands are stored after %s", n, time.Since(began).Round(time.Millisecond))
}

// send stores one command.
func (s *site) send(id, source, priority string) {
	s.mu.Lock()
	s.sent[id] = time.Now()
	s.mu.Unlock()
	if _, err := s.js.PublishMsg(s.t.Context(), command(id, source, priority)); err != nil {
		s.t.Error(err)
	}
}

// result notes a result.
func (s *site) result(msg *nats.Msg) {
	now := time.Now()
	id := msg.Header.Get("ce-causationid")
	var r events.Result
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		s.t.Errorf("a result cannot be read: %v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Outcome == events.Deferred:
		n := notice{id: id, at: now}
		if r.RetryAt != nil {
			n.retryAt = *r.RetryAt
		}
		if r.Error != nil {
			n.code = r.Error.Code
		}
		s.told = append(s.told, n)
	case r.Outcome != events.Applied || r.Attempts != 1:
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %s after %d attempts", id, r.Outcome, r.Attempts))
		fallthrough
	default:
		s.done[id] = now
	}
}

func (s *site) settled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.done)
}

// metric is the value of a series of the bridge, and 0 if there is none.
func (s *site) metric(name string) float64 {
	resp, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(body)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if base, _, _ := strings.Cut(series, "{"); ok && base == name {
			v, _ := strconv.ParseFloat(value, 64)
			return v
		}
	}
	return 0
}
