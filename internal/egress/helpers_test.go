package egress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
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

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// What the package records, for all tests. The providers are global, and are set before anything uses them.
var (
	spans  = tracetest.NewInMemoryExporter()
	reader = sdkmetric.NewManualReader()
)

func TestMain(m *testing.M) {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	os.Exit(m.Run())
}

// sent is a result that was published.
type sent struct {
	subject, id string
	event       event.Event
	result      events.Result
	at          time.Time
}

// fakeStores implements Results, Ledger and Files. fail, if set, can make any of its steps fail.
type fakeStores struct {
	*apitest.Diary
	t      testing.TB
	files  map[string]objects.File
	mu     sync.Mutex
	sent   []sent
	copies []string
	ledger map[string]ledger.Record
	claims map[string]string
	fail   func(step string) error
}

func (d *fakeStores) step(ctx context.Context, name string) error {
	d.Add(name)
	if d.fail != nil {
		if err := d.fail(name); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (d *fakeStores) Publish(ctx context.Context, subject string, e event.Event, id string) error {
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

func (d *fakeStores) Reply(ctx context.Context, subject string, _ event.Event) error {
	if err := d.step(ctx, "reply"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.copies = append(d.copies, subject)
	return nil
}

func (d *fakeStores) Begin(ctx context.Context, cloud, id string, r ledger.Record) (bool, ledger.Record, error) {
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

func (d *fakeStores) Look(ctx context.Context, cloud, id string) (bool, ledger.Record, error) {
	if err := d.step(ctx, "look"); err != nil {
		return false, ledger.Record{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	have, known := d.ledger[cloud+" "+id]
	return known, have, nil
}

// LookFormer is not a step: it changes nothing.
func (d *fakeStores) LookFormer(ctx context.Context, cloud, id string) (bool, ledger.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have, known := d.ledger[cloud+" "+id]
	return known && !have.Plain, have, ctx.Err()
}

// Save names its step finish if it writes a result, release if it records that nothing was done, and save otherwise.
func (d *fakeStores) Save(ctx context.Context, cloud, id string, r ledger.Record) (ledger.Record, error) {
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

func (d *fakeStores) Claim(ctx context.Context, cloud, resource, objectID, id string) (bool, error) {
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

// TakeOver is not a step: it changes nothing that a test of one worker sees.
func (d *fakeStores) TakeOver(ctx context.Context, _, _ string, _ time.Time) error { return ctx.Err() }

func (d *fakeStores) Made(ctx context.Context, cloud string, _ time.Time) (map[string]bool, error) {
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

func (d *fakeStores) Forget(ctx context.Context, cloud, id string, _ ledger.Record) error {
	if err := d.step(ctx, "forget"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ledger, cloud+" "+id)
	return nil
}

func (d *fakeStores) File(ctx context.Context, _, name string) (objects.File, error) {
	if err := d.step(ctx, "file"); err != nil {
		return objects.File{}, err
	}
	f, known := d.files[name]
	if !known {
		return objects.File{}, fmt.Errorf("here: %w", objects.ErrNoFile)
	}
	return f, nil
}

// results are the published results with an outcome.
func (d *fakeStores) results(o events.Outcome) []sent {
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

// rig is a worker between a scripted factro and fake stores.
type rig struct {
	t testing.TB
	*apitest.Diary
	w      *Worker
	cfg    coreapi.Config
	api    *apitest.Factro
	stores *fakeStores
	keys   *fakeKeys
	delays *fakeDelays
	log    *bytes.Buffer
}

func newRig(t testing.TB, script func(r *http.Request, body string) apitest.Reply, change ...func(*coreapi.Config)) *rig {
	t.Helper()
	return newRigFor(t, Config{Prefix: "factro"}, script, change...)
}

func newRigFor(t testing.TB, wcfg Config, script func(r *http.Request, body string) apitest.Reply, change ...func(*coreapi.Config)) *rig {
	t.Helper()
	stores := &apitest.Diary{}
	r := &rig{
		t: t, Diary: stores, log: &bytes.Buffer{},
		api:    &apitest.Factro{Diary: stores, Script: script},
		stores: &fakeStores{Diary: stores, t: t, ledger: map[string]ledger.Record{}, claims: map[string]string{}},
		keys:   &fakeKeys{entries: map[string]keys.Entry{}, queued: map[string]bool{}},
		delays: &fakeDelays{waiting: map[string]delayed.Waiting{}},
	}
	cfg := coreapi.Config{
		Cloud: "acme", URL: "https://factro.test/api/core/", Key: secret.Source{Value: apitest.Key},
		RequestsPerMinute: 480, Timeout: 20 * time.Second, UserAgent: "factro-bridge/test",
	}
	for _, c := range change {
		c(&cfg)
	}
	r.cfg = cfg
	log := slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	api, err := coreapi.New(cfg, r.api, log)
	if err != nil {
		t.Fatal(err)
	}
	if r.w, err = New(api, wcfg, Stores{Results: r.stores, Ledger: r.stores, Files: r.stores, Keys: r.keys, Delayed: r.delays}, log); err != nil {
		t.Fatal(err)
	}
	return r
}

// unsearchable answers like a script, and refuses all reads.
func unsearchable(script func(*http.Request, string) apitest.Reply) func(*http.Request, string) apitest.Reply {
	return func(r *http.Request, body string) apitest.Reply {
		if r.Method == http.MethodGet && !apitest.IsProbe(r) {
			return apitest.Reply{Status: 403, Body: "no"}
		}
		return script(r, body)
	}
}

// The key of the command c-1 in the ledger, and the end of the ids of its results.
const (
	ledgerEntry  = "acme urn:test\xffc-1"
	sourceDigest = ".56a65968f6a45415"
)

// command returns a command as the bus delivers it.
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

// do lets the worker handle a command without stopping it.
func (r *rig) do(c events.Command) error {
	r.t.Helper()
	return r.w.Handle(context.Background(), context.Background(), c, nil)
}

// doAgain has the worker handle a command, and again after the longest time that an earlier call of it may run, if it is given back.
// It is for bubbles.
func (r *rig) doAgain(c events.Command) error {
	r.t.Helper()
	verdict := r.do(c)
	if len(r.stores.sent) == 0 {
		wantRetry(r.t, verdict)
		time.Sleep(r.w.api.Timeout() + searchPause) //nolint:forbidigo // in a bubble
		verdict = r.do(c)
	}
	return verdict
}

// only returns the only final result.
func (r *rig) only() sent {
	r.t.Helper()
	var final []sent
	for _, s := range r.stores.sent {
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

// wantTerminal compares with a verdict from commands.Terminal, since its type is not exported.
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

var probeCall = translate.Call{Method: coreapi.Probe.Method, Target: coreapi.Probe.Path}
