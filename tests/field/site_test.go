package field

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
	"github.com/factro-bridge/factro-bridge/tests/poll"
	"github.com/factro-bridge/factro-bridge/tests/process"
)

const (
	acme   = "acme"
	prefix = events.Prefix(events.DefaultPrefix)

	webhookSecret = "webhook-secret-3b9f0c"
	apiKey        = "api-key-b1d27e"

	// patience bounds a row. It is not a time that a row takes: all wait for what they want to see.
	patience = time.Minute

	examplePackage = factro.ExamplePackage
)

// setting is what rows vary of a site. Texts may contain $dir, the site's folder, and $nats, where the server listens.
type setting struct {
	nats    string // further lines of the NATS server's configuration; "-": no server is started
	natsURL string // of the bridge; that of the server if empty
	http    string // further fields of "http", such as "store_timeout: 2s"
	broker  string // further fields of "nats"
	api     string // further fields of the cloud's "api"
	secrets string // the cloud's webhook secrets, a YAML list; ours if empty
	key     string // the key of the Core API; ours if empty
	clouds  string // further clouds
	more    string // further lines
	roles   string // "ingress, egress, query" if empty
	env     []string
	files   map[string]string                    // in the site's folder before the start
	core    func(core http.Handler) http.Handler // what stands before the simulator
}

// site is one row's processes, or those that several rows share.
type site struct {
	t       testing.TB
	dir     string
	set     setting
	address string // of the NATS server
	nats    *process.Process
	bridge  *process.Process
	http    string // address of the webhook port, and of the admin server
	admin   string
	sim     *sim.Sim
	core    string // URL of the Core API
	nc      *nats.Conn
	js      jetstream.JetStream
}

// open starts a site and waits until its bridge is ready.
func open(t testing.TB, set setting) *site {
	t.Helper()
	s := prepare(t, set)
	s.start()
	s.await("the bridge is ready", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
	return s
}

// prepare starts all but the bridge.
func prepare(t testing.TB, set setting) *site {
	t.Helper()
	if !*asked {
		t.Skip("the rows run with -field")
	}
	s := &site{t: t, dir: t.TempDir(), set: set}
	for name, text := range set.files {
		s.write(name, text)
	}
	port, err := freeport.New()
	must(t, err)
	s.address = fmt.Sprintf("127.0.0.1:%d", port)
	s.startCore()
	if set.nats != "-" {
		s.startNATS()
		s.connect()
	}
	t.Cleanup(func() {
		s.bridge.Kill()
		if t.Failed() && s.bridge != nil {
			t.Logf("the end of the bridge's log:\n%s", s.bridge.Words())
		}
		s.nats.Kill()
	})
	return s
}

func (s *site) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	must(s.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// in has the site report to a part of its row, until that ends.
func (s *site) in(t testing.TB) {
	t.Helper()
	was := s.t
	s.t = t
	t.Cleanup(func() { s.t = was })
}

// fill puts the site's own values into a text.
func (s *site) fill(text string) string {
	return strings.NewReplacer("$dir", s.dir, "$nats", s.address, "$core", s.core).Replace(text)
}

func (s *site) startNATS() {
	s.t.Helper()
	more := s.set.nats
	if !strings.Contains(more, "jetstream") {
		more += fmt.Sprintf("\njetstream: {store_dir: %q}", filepath.Join(s.dir, "nats"))
	}
	if !strings.Contains(more, "max_payload") {
		more += "\nmax_payload: 1MB"
	}
	var err error
	s.nats, _, err = process.NATS(process.Options{Name: "nats", Dir: s.dir}, fmt.Sprintf("server_name: field\nlisten: %q\n%s\n", s.address, s.fill(more)))
	must(s.t, err)
}

// connect connects ourselves, as a stranger would.
func (s *site) connect(options ...nats.Option) {
	s.t.Helper()
	var err error
	s.nc, err = nats.Connect("nats://"+s.address, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.RetryOnFailedConnect(true),
	}, options...)...)
	must(s.t, err)
	s.t.Cleanup(s.nc.Close)
	s.js, err = jetstream.New(s.nc)
	must(s.t, err)
}

func (s *site) startCore() {
	s.t.Helper()
	var err error
	s.sim, err = sim.New(sim.Config{Key: apiKey, Quota: 10_000_000, Examples: true}, slog.New(slog.DiscardHandler))
	must(s.t, err)
	handler := s.sim.Handler()
	if s.set.core != nil {
		handler = s.set.core(handler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with the row
	}()
	s.t.Cleanup(func() {
		_ = server.Close()
		<-done
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.sim.Close(ctx) // it registered no webhooks
	})
	s.core = "http://" + l.Addr().String() + "/api/core"
}

// config writes the bridge's configuration and returns where it is.
func (s *site) config() string {
	s.t.Helper()
	more := func(fields string) string {
		if fields == "" {
			return ""
		}
		return ", " + s.fill(fields)
	}
	text := fmt.Sprintf(`http: {listen: %q%s}
admin: {listen: %q}
nats: {url: %q%s}
roles: [%s]
shutdown_timeout: 5s
%s
clouds:
  - name: acme
    webhook: {header: X-Bridge-Key, secrets: %s}
    api: {url: %q, key: %s, requests_per_minute: 100000, timeout: 5s%s}
%s
`, cmp.Or(s.http, "127.0.0.1:0"), more(s.set.http), cmp.Or(s.admin, "127.0.0.1:0"), cmp.Or(s.fill(s.set.natsURL), "nats://"+s.address),
		more(s.set.broker), cmp.Or(s.set.roles, "ingress, egress, query"), s.fill(s.set.more),
		cmp.Or(s.fill(s.set.secrets), "[{value: "+webhookSecret+"}]"), s.core, cmp.Or(s.fill(s.set.key), "{value: "+apiKey+"}"), more(s.set.api),
		s.fill(s.set.clouds))
	return s.write("bridge.yaml", text)
}

// start starts the bridge; after the first time at the same addresses.
func (s *site) start() {
	s.t.Helper()
	var err error
	s.bridge, err = process.Start(process.Options{
		Name: "bridge", Dir: s.dir, Env: s.set.env, Never: [][]byte{[]byte(webhookSecret), []byte(apiKey), []byte("panic:")},
		Up: func(line []byte) bool {
			var l struct{ Msg, HTTP, Admin string }
			if json.Unmarshal(line, &l) != nil || l.Msg != "bridge started" {
				return false
			}
			s.http, s.admin = l.HTTP, l.Admin
			return true
		},
	}, *binary, "run", "--config", s.config())
	must(s.t, err)
	s.t.Cleanup(func() {
		if leaked := s.bridge.Leaked(); len(leaked) > 0 {
			s.t.Errorf("the log has what no log may have:\n%s", strings.Join(leaked, "\n"))
		}
	})
}

// run runs a command of the bridge to its end.
func (s *site) run(args ...string) (code int, output string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, *binary, args...)
	cmd.Dir = s.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, s.set.env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode(), string(out)
	case err != nil:
		s.t.Fatalf("bridge %s: %v", strings.Join(args, " "), err)
	}
	return 0, string(out)
}

// await polls until ok, and fails the row when its time is over.
func (s *site) await(what string, ok func() bool) {
	s.t.Helper()
	poll.Until(s.t, patience, what, ok)
}

// logs waits until the bridge's log has all of the texts in one line.
func (s *site) logs(texts ...string) {
	s.t.Helper()
	s.await(fmt.Sprintf("a line of the log with %q", texts), func() bool { return s.lines(texts...) > 0 })
}

// lines counts the lines of the bridge's log that have all of the texts.
func (s *site) lines(texts ...string) (n int) {
	for line := range strings.Lines(s.bridge.Log()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

// fresh opens a connection for each request.
var fresh = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

// get asks the admin server; the status is 0 without an answer.
func (s *site) get(path string) (status int, body string) {
	resp, err := fresh.Get("http://" + s.admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// metric is the sum of all series of a name that have all of the labels, each such as `factro_cloud="acme"`.
func (s *site) metric(name string, labels ...string) (sum float64) {
	_, body := s.get("/metrics")
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") ||
			slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(rest, label) }) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
		if err == nil {
			sum += value
		}
	}
	return sum
}

// request is a webhook as it is sent. Without a body it is a good one; a nil header value removes a header.
type request struct {
	method, path, body string
	header             map[string][]string
}

// reply is what it is answered.
type reply struct {
	status int
	header http.Header
	body   string
}

func (s *site) send(r request) reply {
	s.t.Helper()
	if r.body == "" && r.method == "" {
		r.body = body(uuid.NewString())
	}
	req, err := http.NewRequestWithContext(s.t.Context(), cmp.Or(r.method, http.MethodPost), "http://"+s.http+cmp.Or(r.path, "/webhooks/acme"), strings.NewReader(r.body))
	must(s.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Bridge-Key", webhookSecret)
	maps.Copy(req.Header, r.header)
	resp, err := fresh.Do(req)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body) // the status says it
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// body is a webhook about an object, without an id of its own.
func body(entity string) string {
	return fmt.Sprintf(`{"action":"TaskStateChanged","context":{"entityId":%q}}`, entity)
}

// messages are what the streams hold below a subject, in order.
func (s *site) messages(subject string) (found []*jetstream.RawStreamMsg) {
	s.t.Helper()
	name, err := s.js.StreamNameBySubject(s.t.Context(), subject)
	if err != nil {
		return nil // it is not there yet
	}
	stream, err := s.js.Stream(s.t.Context(), name)
	must(s.t, err)
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(s.t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return found
		}
		must(s.t, err)
		found, seq = append(found, msg), msg.Sequence+1
	}
}

// event waits for the event of an object, which may be the only one.
func (s *site) event(entity string) *jetstream.RawStreamMsg {
	s.t.Helper()
	var found []*jetstream.RawStreamMsg
	s.await("the event of "+entity, func() bool {
		found = nil
		for _, msg := range s.messages(string(prefix) + ".event.acme.>") {
			if bytes.Contains(msg.Data, []byte(entity)) {
				found = append(found, msg)
			}
		}
		return len(found) > 0
	})
	if len(found) != 1 {
		s.t.Errorf("%d events of %s, want 1", len(found), entity)
	}
	return found[0]
}

// command publishes a command and returns its id. header has further headers, or others in place of ours.
func (s *site) command(operation, data string, header map[string][]string) string {
	s.t.Helper()
	op, known := factro.Lookup(operation)
	if !known {
		s.t.Fatalf("there is no operation %q", operation)
	}
	id := uuid.NewString()
	msg := nats.NewMsg(prefix.Command(acme, op.Resource, operation))
	msg.Data = []byte(data)
	msg.Header.Set(events.HeaderMessageID, id)
	maps.Copy(msg.Header, header)
	_, err := s.js.PublishMsg(s.t.Context(), msg)
	must(s.t, err)
	return id
}

// create is a command that makes a task.
func (s *site) create(title string) string {
	return s.command("createTask", fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, title, examplePackage), nil)
}

// result is the final result of a command.
type result struct {
	outcome string
	data    string
	header  nats.Header
}

// result waits for the result of a command.
func (s *site) result(id string) (r result) {
	s.t.Helper()
	s.await("the result of "+id, func() bool {
		for _, msg := range s.messages(string(prefix) + ".result.acme.>") {
			if msg.Header.Get("ce-causationid") != id {
				continue
			}
			if outcome := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]; outcome != "deferred" {
				r = result{outcome, string(msg.Data), msg.Header}
				return true
			}
		}
		return false
	})
	return r
}

// tasks counts the tasks of a title at factro.
func (s *site) tasks(title string) int {
	return s.sim.Count("task", func(o map[string]any) bool { return o["title"] == title })
}

// must fails the row for a mistake of the surroundings.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
