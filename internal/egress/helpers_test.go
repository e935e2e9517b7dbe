package egress

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// What the room records, for all tests: the providers are global, and are set before anything asks for them.
var (
	spans  = tracetest.NewInMemoryExporter()
	reader = sdkmetric.NewManualReader()
)

func TestMain(m *testing.M) {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	os.Exit(m.Run())
}

// diary is what happened, in its order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) count(prefix string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, line := range d.lines {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "; ")
}

// reply is one answer of the scripted factro.
type reply struct {
	status int
	header map[string]string
	body   string
	// err is a failure instead of an answer; unsent one before the request was written.
	err    error
	unsent bool
	// cut ends the body with an error. hang answers when the request is given up, delay when that time is over. drip is how
	// long each part of the body takes, of as many bytes.
	cut, hang   bool
	delay, drip time.Duration
	part        int
}

// fits is an answer in the form of each operation on one object that the tests use, and of the probe.
const fits = `{"id":"t-1","totalUserCount":7}`

func ok(body string) reply { return reply{status: 200, body: body} }

// long is an answer of so many bytes in the form that a call wants: a list of tasks or a task.
func long(r *http.Request, size int) string {
	begin, end := `{"id":"`, `"}`
	if strings.HasSuffix(r.URL.Path, "/tasks") {
		begin, end = `[`+begin, end+`]`
	}
	return begin + strings.Repeat("7", size-len(begin+end)) + end
}

// api is a scripted factro.
type api struct {
	*diary
	mu     sync.Mutex
	script func(r *http.Request, body string) reply
	seen   []*http.Request
	at     []time.Time
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil { // in the middle of the request
			httptrace.ContextClientTrace(r.Context()).WroteHeaders()
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
		body = string(b)
	}
	a.add("call " + r.Method + " " + r.URL.Path)
	a.mu.Lock()
	a.seen, a.at = append(a.seen, r), append(a.at, time.Now())
	answer := a.script(r, body)
	a.mu.Unlock()
	if answer.unsent {
		return nil, errors.New("dial tcp: connection refused")
	}
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	if answer.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if answer.delay > 0 {
		if err := sleep(r.Context(), answer.delay); err != nil {
			return nil, err
		}
	}
	if answer.err != nil {
		return nil, answer.err
	}
	h := http.Header{}
	for k, v := range answer.header {
		h.Set(k, v)
	}
	var text io.Reader = strings.NewReader(answer.body)
	if answer.cut {
		text = io.MultiReader(text, failing{})
	}
	arriving := io.NopCloser(&coming{ctx: r.Context(), r: text, drip: answer.drip, part: answer.part})
	return &http.Response{StatusCode: answer.status, Header: h, Body: arriving, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// coming is a body on its way. It ends when the request is given up.
type coming struct {
	ctx        context.Context //nolint:containedctx // that of the request; a Reader takes none
	r          io.Reader
	drip       time.Duration
	part, left int // what of this part is not read
}

func (c *coming) Read(p []byte) (int, error) {
	if c.drip > 0 {
		if c.left == 0 {
			if err := sleep(c.ctx, c.drip); err != nil {
				return 0, err
			}
			c.left = c.part
		}
		p = p[:min(len(p), c.left)]
	}
	n, err := c.r.Read(p)
	c.left -= n
	if n > 0 && c.ctx.Err() != nil {
		return 0, c.ctx.Err()
	}
	return n, err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// sent is a result that was published.
type sent struct {
	subject, id string
	event       event.Event
	result      events.Result
	at          time.Time
}

// desk is Results, Ledger and Files. fail, if set, may make any of its steps fail.
type desk struct {
	*diary
	t      testing.TB
	files  map[string]bus.File
	mu     sync.Mutex
	sent   []sent
	copies []string
	ledger map[string]ledger.Record
	claims map[string]string
	fail   func(step string) error
}

func (d *desk) step(ctx context.Context, name string) error {
	d.add(name)
	if d.fail != nil {
		if err := d.fail(name); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (d *desk) Publish(ctx context.Context, subject string, e event.Event, id string) error {
	var r events.Result
	if err := e.DataAs(&r); err != nil {
		d.t.Error(err)
	}
	if r.Error != nil { // of whatever code: as it is on the wire
		var data struct {
			Error struct{ Detail []events.FieldError }
		}
		if err := json.Unmarshal(e.Data(), &data); err != nil || len(data.Error.Detail) == 0 || data.Error.Detail[0].Message == "" {
			d.t.Errorf("a result %s with the detail %+v, %v", r.Error.Code, data.Error.Detail, err)
		}
	}
	if err := d.step(ctx, "publish "+string(r.Outcome)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = append(d.sent, sent{subject, id, e, r, time.Now()})
	return nil
}

func (d *desk) Reply(ctx context.Context, subject string, _ event.Event) error {
	if err := d.step(ctx, "reply"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.copies = append(d.copies, subject)
	return nil
}

func (d *desk) Begin(ctx context.Context, cloud, id string, r ledger.Record) (bool, ledger.Record, error) {
	if err := d.step(ctx, "begin"); err != nil {
		return false, ledger.Record{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if have, known := d.ledger[cloud+" "+id]; known {
		return true, have, nil
	}
	d.ledger[cloud+" "+id] = r
	return false, r, nil
}

func (d *desk) Look(ctx context.Context, cloud, id string) (bool, ledger.Record, error) {
	if err := d.step(ctx, "look"); err != nil {
		return false, ledger.Record{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	have, known := d.ledger[cloud+" "+id]
	return known, have, nil
}

// LookFormer is no step: it changes nothing.
func (d *desk) LookFormer(ctx context.Context, cloud, id string) (bool, ledger.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have, known := d.ledger[cloud+" "+id]
	return known && !have.Plain, have, ctx.Err()
}

// Save calls writing a result finish, that nothing was done release, and all else save.
func (d *desk) Save(ctx context.Context, cloud, id string, r ledger.Record) (ledger.Record, error) {
	step := "save"
	if r.Result != nil {
		step = "finish"
	} else if r.Open {
		step = "release"
	}
	if err := d.step(ctx, step); err != nil {
		return r, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ledger[cloud+" "+id] = r
	return r, nil
}

func (d *desk) Claim(ctx context.Context, cloud, resource, objectID, id string) (bool, error) {
	if err := d.step(ctx, "claim"); err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := cloud + " " + resource + " " + objectID
	if d.claims[key] == "" {
		d.claims[key] = id
	}
	return d.claims[key] == id, nil
}

func (d *desk) Made(ctx context.Context, cloud string, _ time.Time) (map[string]bool, error) {
	if err := d.step(ctx, "made"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	made := map[string]bool{}
	for key, r := range d.ledger {
		if strings.HasPrefix(key, cloud+" ") {
			for _, id := range r.Made {
				made[id] = true
			}
		}
	}
	return made, nil
}

func (d *desk) Forget(ctx context.Context, cloud, id string, _ ledger.Record) error {
	if err := d.step(ctx, "forget"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ledger, cloud+" "+id)
	return nil
}

func (d *desk) File(ctx context.Context, _, name string) (bus.File, error) {
	if err := d.step(ctx, "file"); err != nil {
		return bus.File{}, err
	}
	f, known := d.files[name]
	if !known {
		return bus.File{}, fmt.Errorf("here: %w", bus.ErrNoFile)
	}
	return f, nil
}

// results are the published results with an outcome.
func (d *desk) results(o events.Outcome) []sent {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []sent
	for _, s := range d.sent {
		if s.result.Outcome == o {
			all = append(all, s)
		}
	}
	return all
}

const apiKey = "eyJ-THE-API-KEY"

// rig is a worker between a scripted factro and a desk.
type rig struct {
	t testing.TB
	*diary
	w    *Worker
	api  *api
	desk *desk
	log  *bytes.Buffer
}

func newRig(t testing.TB, script func(r *http.Request, body string) reply, change ...func(*Config)) *rig {
	t.Helper()
	d := &diary{}
	r := &rig{
		t: t, diary: d, log: &bytes.Buffer{},
		api:  &api{diary: d, script: script},
		desk: &desk{diary: d, t: t, ledger: map[string]ledger.Record{}, claims: map[string]string{}},
	}
	cfg := Config{
		Cloud: "acme", Prefix: "factro", URL: "https://factro.test/api/core/", Key: secret.Source{Value: apiKey},
		RequestsPerMinute: 480, Timeout: 20 * time.Second, UserAgent: "factro-bridge/test",
	}
	for _, c := range change {
		c(&cfg)
	}
	api, err := NewAPI(cfg, r.api, slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	if r.w, err = New(api, r.desk, r.desk, r.desk); err != nil {
		t.Fatal(err)
	}
	return r
}

// always answers every call alike, but for the probe.
func always(answer reply) func(*http.Request, string) reply {
	return func(r *http.Request, _ string) reply {
		if isProbe(r) {
			return ok(fits)
		}
		return answer
	}
}

// inTurn answers the calls one after the other, then always with the last; the probe is always well.
func inTurn(answers ...reply) func(*http.Request, string) reply {
	return func(r *http.Request, _ string) reply {
		if isProbe(r) {
			return ok(fits)
		}
		a := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return a
	}
}

// unseeable answers as a script does, and forbids to look at anything.
func unseeable(script func(*http.Request, string) reply) func(*http.Request, string) reply {
	return func(r *http.Request, body string) reply {
		if r.Method == http.MethodGet && !isProbe(r) {
			return reply{status: 403, body: "no"}
		}
		return script(r, body)
	}
}

var probeCall = translate.Call{Method: probe.Method, Target: probe.Path}

func isProbe(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, probe.Path) }

// What a command by the name of c-1 has: its place in the ledger, and the end of the ids of its results.
const (
	ledgerEntry  = "acme urn:test\xffc-1"
	sourceDigest = ".56a65968f6a45415"
)

// command returns a command as the bus hands it over.
func command(operation, data string, ext ...any) events.Command {
	e := event.Event{Context: &event.EventContextV1{
		ID: "c-1", Source: *types.ParseURIRef("urn:test"), Type: "com.factro.command." + operation,
	}, DataEncoded: []byte(data)}
	for i := 0; i < len(ext); i += 2 {
		e.SetExtension(ext[i].(string), ext[i+1])
	}
	return events.Command{Address: events.Address{Cloud: "acme", Resource: "task", Operation: operation}, Event: e, Position: "FACTRO_COMMANDS:17"}
}

var (
	create = func() events.Command { return command("createTask", `{"title":"T","targetParentId":"p-1"}`) }
	update = func() events.Command { return command("updateTask", `{"taskId":"t-1","title":"T"}`) }
	remove = func() events.Command { return command("deleteTask", `{"taskId":"t-1"}`) }
)

// do has the worker handle a command and never stops it.
func (r *rig) do(c events.Command) error {
	r.t.Helper()
	return r.w.Handle(context.Background(), context.Background(), c, nil)
}

// only returns the only final result.
func (r *rig) only() sent {
	r.t.Helper()
	var final []sent
	for _, s := range r.desk.sent {
		if s.result.Outcome != events.Deferred {
			final = append(final, s)
		}
	}
	if len(final) != 1 {
		r.t.Fatalf("%d final results, want one: %s", len(final), r)
	}
	return final[0]
}

func (r *rig) wantDone(verdict error, outcome events.Outcome, code string) sent {
	r.t.Helper()
	s := r.only()
	got := ""
	if s.result.Error != nil {
		got = s.result.Error.Code
	}
	if s.result.Outcome != outcome || got != code {
		r.t.Fatalf("the result is %s %q, want %s %q: %s\n%s", s.result.Outcome, got, outcome, code, s.event.Data(), r)
	}
	if outcome == events.Applied {
		if verdict != nil {
			r.t.Errorf("the verdict is %v", verdict)
		}
		return s
	}
	wantTerminal(r.t, verdict, "factro.dead.command.acme.task."+s.result.Operation, code)
	return s
}

// wantTerminal compares with the one way to make such a verdict; its type is not to be seen from here.
func wantTerminal(t testing.TB, verdict error, subject, code string) {
	t.Helper()
	letter, ok := commands.LetterOf(verdict)
	if !ok || letter.Subject != subject || letter.Code != code || letter.Reason.Error() == "" {
		t.Errorf("the verdict is %#v, want terminal %s on %s", verdict, code, subject)
	}
}

func wantRetry(t testing.TB, verdict error) {
	t.Helper()
	if got := fmt.Sprintf("%T", verdict); got != "*commands.retry" {
		t.Errorf("the verdict is %s %v, want commands.RetryAfter", got, verdict)
	}
}

func stopAfterMinute(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), time.Minute)
}

func series(name string, labels attribute.Set, value int64) string {
	var parts []string
	for _, l := range labels.ToSlice() {
		parts = append(parts, string(l.Key)+"="+l.Value.String())
	}
	return fmt.Sprintf("%s{%s} %d", name, strings.Join(parts, ","), value)
}
