package queries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	taskQuery  = "factro.query.acme.task.getTask"
	tasksQuery = "factro.query.acme.task.listTasks"
)

// reads is a Reader made of a function.
type reads func(ctx context.Context, q Query) Answer

func (r reads) Query(ctx context.Context, q Query) Answer { return r(ctx, q) }

// echo answers with the data.
func echo(_ context.Context, q Query) Answer { return Answer{Status: 200, Data: q.Data} }

var acme = Service{Cloud: "acme", Version: "v1.2.3", Endpoints: []Endpoint{
	{Resource: "task", Operation: "getTask", Metadata: map[string]string{"method": "GET"}}, {Resource: "task", Operation: "listTasks"},
}}

// answered runs a server until the test ends, and waits until it answers.
func answered(t testing.TB, b *bus.Conn, o bustest.Outside, r Reader, log *slog.Logger) (stop func()) {
	t.Helper()
	stop = bustest.Start(t, func(ctx context.Context) error { return Serve(ctx, b, acme, r, log) })
	natstest.Eventually(t, "the service answers", func() bool {
		_, err := o.NC.Request("$SRV.PING.factro-query-acme", nil, time.Second)
		return err == nil
	})
	return stop
}

// serve is answered without a log.
func serve(t testing.TB, b *bus.Conn, o bustest.Outside, r Reader) (stop func()) {
	t.Helper()
	return answered(t, b, o, r, bustest.Quiet())
}

// TestMaxAge: the header says how old an answer may be, and that of the answer how old it is.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	o := bustest.Connected(t, server)
	serve(t, bustest.Run(t, bustest.Connect(t, server, bustest.Quiet())), o, reads(func(_ context.Context, q Query) Answer {
		if q.Mistake != nil {
			return Answer{Status: 400, Error: &events.Error{Code: "invalid", Message: q.Mistake.Error()}}
		}
		a := Answer{Status: 200, Data: []byte(q.MaxAge.String())}
		if q.MaxAge > 0 {
			a.Age = new(q.MaxAge / 4)
		}
		return a
	}))
	for value, want := range map[string]string{"30s": "30s 7.500", "1m30s": "1m30s 22.500", "0s": "0s ", "0": "0s ", "": "0s "} {
		if m := o.Ask(taskQuery, "{}", nats.Header{"Factro-Max-Age": {value}}); string(m.Data)+" "+m.Header.Get("Factro-Age") != want {
			t.Errorf("%q: got %s with %v, want %s", value, m.Data, m.Header, want)
		}
	}
	for _, value := range []string{"30", "-1s", "soon", strings.Repeat("9", 100) + "s", "30 s"} {
		m := o.Ask(taskQuery, "{}", nats.Header{"Factro-Max-Age": {value}})
		if text := m.Header.Get(events.HeaderError); m.Header.Get(events.HeaderErrorCode) != "400" || !strings.Contains(text, "Factro-Max-Age") || len(text) > 120 {
			t.Errorf("%q: got %s with %v", value, m.Data, m.Header)
		}
	}
}

// describe asks about the service.
func describe(t *testing.T, o bustest.Outside, subject string, into any) {
	t.Helper()
	if err := json.Unmarshal(o.Ask(subject, "", nil).Data, into); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}

// TestServeForms: a query is plain JSON, nothing, or a CloudEvent in either mode.
func TestServeForms(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Connect(t, srv, bustest.Quiet()), bustest.Connected(t, srv)
	got := make(chan Query, 1)
	serve(t, b, o, reads(func(ctx context.Context, q Query) Answer { got <- q; return echo(ctx, q) }))

	binary := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"urn:test"}, "ce-type": {"any"}}
	for name, tt := range map[string]struct {
		header     nats.Header
		data, want string
	}{
		"plain":      {nil, `{"taskId":"ü"}`, `{"taskId":"ü"}`},
		"nothing":    {nil, "", "{}"},
		"binary":     {binary, `{"taskId":"1"}`, `{"taskId":"1"}`},
		"no data":    {binary, "", "{}"},
		"structured": {nil, `{"specversion":"1.0","id":"1","source":"urn:test","type":"any","data":{"taskId":"2"}}`, `{"taskId":"2"}`},
	} {
		m := o.Ask(taskQuery, tt.data, tt.header)
		q := natstest.Receive(t, got)
		if string(m.Data) != tt.want || q.Mistake != nil || q.Address != (events.Address{Cloud: "acme", Resource: "task", Operation: "getTask"}) {
			t.Errorf("%s: %s, %+v", name, m.Data, q)
		}
		if m.Header.Get(events.HeaderError) != "" || m.Header.Get(events.HeaderObject) != "" {
			t.Errorf("%s: the headers are %v", name, m.Header)
		}
	}
	o.Ask(taskQuery, "{}", nats.Header{"ce-specversion": {"1.0"}})
	if q := natstest.Receive(t, got); q.Mistake == nil {
		t.Error("a broken CloudEvent is no mistake")
	}
}

// TestServeErrors: an error is in the headers that NATS services have, and whole in the data.
func TestServeErrors(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Connect(t, srv, bustest.Quiet()), bustest.Connected(t, srv)
	detail := json.RawMessage(`[{"pointer":"/x","message":"ü"}]`)
	serve(t, b, o, reads(func(_ context.Context, q Query) Answer {
		if q.Operation == "listTasks" {
			return Answer{Status: 200, Object: &events.ObjectRef{Bucket: "FACTRO_ANSWERS_ACME", Name: "n", Size: 7}}
		}
		return Answer{
			Status: 429, Error: &events.Error{Code: "throttled", Message: "zu\r\nviele\x00 Anfragen", Detail: detail},
			RetryAfter: 1500 * time.Millisecond,
		}
	}))
	m := o.Ask(taskQuery, "", nil)
	var e events.Error
	if err := json.Unmarshal(m.Data, &e); err != nil || e.Code != "throttled" || e.Message != "zu\r\nviele\x00 Anfragen" || string(e.Detail) != string(detail) {
		t.Errorf("the error is %s: %v", m.Data, err)
	}
	for name, want := range map[string]string{
		"Nats-Service-Error-Code": "429", "Nats-Service-Error": "zu viele Anfragen", "Retry-After": "2",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	m = o.Ask(tasksQuery, "", nil)
	if string(m.Data) != `{"object":{"bucket":"FACTRO_ANSWERS_ACME","name":"n","size":7}}` || m.Header.Get("Factro-Object") != "FACTRO_ANSWERS_ACME/n" {
		t.Errorf("the answer is %s with %v", m.Data, m.Header)
	}
}

// TestServeStatistics: the tools of NATS see the service, each of its endpoints, and every error.
func TestServeStatistics(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Connect(t, srv, bustest.Quiet()), bustest.Connected(t, srv)
	serve(t, b, o, reads(func(ctx context.Context, q Query) Answer {
		if q.Operation == "listTasks" || string(q.Data) == "{}" {
			return Answer{Status: 404, Error: &events.Error{Code: "refused", Message: "not here"}}
		}
		return echo(ctx, q)
	}))
	var ping micro.Ping
	describe(t, o, "$SRV.PING", &ping)
	if ping.Name != "factro-query-acme" || ping.Version != "1.2.3" || ping.Metadata["cloud"] != "acme" || ping.Type != micro.PingResponseType {
		t.Errorf("the ping is %+v", ping)
	}
	var info micro.Info
	describe(t, o, "$SRV.INFO.factro-query-acme."+ping.ID, &info)
	if len(info.Endpoints) != 2 || info.Description == "" || info.Type != micro.InfoResponseType {
		t.Fatalf("the info is %+v", info)
	}
	if e := info.Endpoints[0]; e.Name != "getTask" || e.Subject != taskQuery || e.QueueGroup != "q" || e.Metadata["method"] != "GET" {
		t.Errorf("the endpoint is %+v", e)
	}
	for _, data := range []string{`{"taskId":"1"}`, `{"taskId":"2"}`, "", ""} {
		o.Ask(taskQuery, data, nil)
	}
	o.Ask(tasksQuery, "", nil)
	o.Ask("factro.query.acme.task.inventTask", `{"x":1}`, nil)
	var stats micro.Stats
	natstest.Eventually(t, "all are counted", func() bool { // which comes right after the answer
		describe(t, o, "$SRV.STATS.factro-query-acme", &stats)
		return stats.Endpoints[0].NumRequests == 4 && stats.Endpoints[1].NumRequests == 1
	})
	if e := stats.Endpoints[0]; e.NumErrors != 2 || e.LastError != "404:not here" || e.ProcessingTime <= 0 || e.AverageProcessingTime != e.ProcessingTime/4 {
		t.Errorf("the statistics are %+v", e)
	}
	if len(stats.Endpoints) != 2 || stats.Endpoints[1].NumErrors != 1 || stats.Started.IsZero() || stats.Type != micro.StatsResponseType {
		t.Errorf("the statistics are %+v", stats)
	}
}

// TestServeAtOnce: a slow query holds up no other, of the same operation either; beyond the limit one is asked to come again.
func TestServeAtOnce(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Connect(t, srv, bustest.Quiet()), bustest.Connected(t, srv)
	begun, goOn := make(chan struct{}, maxQueries), make(chan struct{})
	serve(t, b, o, reads(func(ctx context.Context, q Query) Answer {
		begun <- struct{}{}
		<-goOn
		return echo(ctx, q)
	}))
	inbox, err := o.NC.SubscribeSync("_INBOX.test.*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxQueries {
		if err := o.NC.PublishRequest(taskQuery, fmt.Sprintf("_INBOX.test.%d", i), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for range maxQueries {
		natstest.Receive(t, begun)
	}
	m := o.Ask(taskQuery, "", nil)
	if m.Header.Get(events.HeaderErrorCode) != "503" || m.Header.Get("Retry-After") != "1" {
		t.Errorf("the answer to one too many is %s with %v", m.Data, m.Header)
	}
	close(goOn)
	for range maxQueries {
		if m, err := inbox.NextMsg(natstest.Patience); err != nil || string(m.Data) != "{}" {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	if m := o.Ask(taskQuery, "", nil); m.Header.Get(events.HeaderErrorCode) != "" {
		t.Errorf("afterwards: %v", m.Header)
	}
}

// TestServeStops: what is in flight is finished, what comes later goes to another bridge.
func TestServeStops(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Connect(t, srv, bustest.Quiet()), bustest.Connected(t, srv)
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	stop := serve(t, b, o, reads(func(ctx context.Context, q Query) Answer {
		begun <- struct{}{}
		select {
		case <-goOn:
		case <-ctx.Done():
			t.Error("the query was given up")
		}
		return echo(ctx, q)
	}))
	answer := make(chan *nats.Msg, 1)
	go func() { answer <- o.Ask(taskQuery, `{"taskId":"1"}`, nil) }()
	natstest.Receive(t, begun)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	natstest.Eventually(t, "nobody takes queries", func() bool {
		_, err := o.NC.Request(taskQuery, nil, time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	select {
	case <-stopped:
		t.Error("it stopped before the query was answered")
	default:
	}
	close(goOn)
	if m := natstest.Receive(t, answer); string(m.Data) != `{"taskId":"1"}` {
		t.Errorf("the answer is %s", m.Data)
	}
	natstest.Receive(t, stopped)
}

// TestServeGrace: a query that takes longer than the grace is given up.
func TestServeGrace(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Connect(t, srv, bustest.Quiet(), func(c *bus.Config) { c.DrainTimeout = 10 * time.Millisecond }), bustest.Connected(t, srv)
	begun := make(chan struct{}, 1)
	stop := serve(t, b, o, reads(func(ctx context.Context, _ Query) Answer {
		begun <- struct{}{}
		<-ctx.Done()
		return Answer{Status: 503, Error: &events.Error{Code: "unavailable", Message: "stopped"}}
	}))
	answer := make(chan *nats.Msg, 1)
	go func() { answer <- o.Ask(taskQuery, "", nil) }()
	natstest.Receive(t, begun)
	stop()
	if m := natstest.Receive(t, answer); m.Header.Get(events.HeaderErrorCode) != "503" {
		t.Errorf("the answer is %s", m.Data)
	}
}

// TestServeShares: several bridges share the queries, and nobody is answered twice.
func TestServeShares(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	o := bustest.Connected(t, srv)
	took := make(chan int, 200)
	for i := range 2 {
		serve(t, bustest.Connect(t, srv, bustest.Quiet()), o, reads(func(ctx context.Context, q Query) Answer { took <- i; return echo(ctx, q) }))
	}
	natstest.Eventually(t, "both have answered", func() bool {
		o.Ask(taskQuery, "", nil)
		return len(took) >= 100
	})
	counts := map[int]int{}
	for range 100 {
		counts[<-took]++
	}
	if counts[0] == 0 || counts[1] == 0 || len(took) != 0 {
		t.Errorf("they took %v, and %d more", counts, len(took))
	}
}

// TestServeOutage: it begins while NATS is away, and goes on when it is back.
func TestServeOutage(t *testing.T) {
	t.Parallel()
	srv := natstest.New(t)
	b := bustest.Connect(t, srv, bustest.Quiet())
	bustest.Start(t, func(ctx context.Context) error { return Serve(ctx, b, acme, reads(echo), bustest.Quiet()) })
	srv.Start()
	o := bustest.Connected(t, srv)
	answered := func() bool {
		m, err := o.NC.Request(taskQuery, []byte(`{"taskId":"1"}`), time.Second)
		return err == nil && string(m.Data) == `{"taskId":"1"}`
	}
	natstest.Eventually(t, "it answers when NATS has come", answered)
	srv.Stop()
	natstest.Eventually(t, "the bus knows that NATS is away", func() bool { return errors.Is(b.Health().Ready(), bus.ErrNotConnected) })
	srv.Start()
	natstest.Eventually(t, "it answers when NATS is back", answered)
}

// TestServeStopsWithoutNATS: the end does not wait for a server that is away.
func TestServeStopsWithoutNATS(t *testing.T) {
	t.Parallel()
	srv := natstest.New(t)
	b := bustest.Connect(t, srv, bustest.Quiet())
	bustest.Start(t, func(ctx context.Context) error { return Serve(ctx, b, acme, reads(echo), bustest.Quiet()) })()
}

// TestServeReplySubject: a requester cannot have the bridge write where only the bridge may; nor does one who wants no answer
// cost a request.
func TestServeReplySubject(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	log, book := bustest.NewLog()
	b, o := bustest.Run(t, bustest.Connect(t, srv, log)), bustest.Connected(t, srv)
	asked := make(chan Query, 10)
	answered(t, b, o, reads(func(ctx context.Context, q Query) Answer { asked <- q; return echo(ctx, q) }), log)
	for _, reply := range []string{"", "another.program", "factro.command.acme.task.deleteTask", "$JS.API.STREAM.PURGE.FACTRO_EVENTS_ACME", "a." + strings.Repeat("x", 2000)} {
		if err := o.NC.PublishMsg(&nats.Msg{Subject: taskQuery, Reply: reply, Data: []byte(`{"taskId":"1"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Eventually(t, "they are dropped", func() bool { return book.Count("reply subject is neither an inbox nor below") == 1 })
	o.Ask(taskQuery, "", nil)
	if n := o.Count("FACTRO_COMMANDS_ACME"); n != 0 || b.Health().Ready() != nil {
		t.Errorf("%d commands; ready: %v", n, b.Health().Ready())
	}
	if len(asked) != 1 {
		t.Errorf("%d were asked, want the last one", len(asked))
	}
}

// TestServeTrace: the requester's trace goes on, and the answer belongs to it.
func TestServeTrace(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b, o := bustest.Connect(t, srv, bustest.Quiet()), bustest.Connected(t, srv)
	serve(t, b, o, reads(echo))
	traceID, spanID := strings.ReplaceAll(uuid.NewString(), "-", ""), "00f067aa0ba902b7"
	m := o.Ask(taskQuery, "", nats.Header{"traceparent": {"00-" + traceID + "-" + spanID + "-01"}})
	natstest.Eventually(t, "the span has ended", func() bool {
		for _, s := range bustest.Spans.GetSpans() {
			if s.SpanContext.TraceID().String() != traceID {
				continue
			}
			if s.Name != "process factro.query.acme" || s.SpanKind != trace.SpanKindServer || s.Parent.SpanID().String() != spanID {
				t.Errorf("span %q of kind %v under %s", s.Name, s.SpanKind, s.Parent.SpanID())
			}
			if want := "00-" + traceID + "-" + s.SpanContext.SpanID().String() + "-01"; m.Header["traceparent"][0] != want {
				t.Errorf("the answer's trace is %v, want %s", m.Header["traceparent"], want)
			}
			return true
		}
		return false
	})
}

func TestSemanticVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-rc.1+x": "1.2.3-rc.1+x", "dev": "0.0.0", "": "0.0.0", "v0.0.0-20260102030405-abcdef": "0.0.0-20260102030405-abcdef",
	} {
		if got := semantic(version); got != want {
			t.Errorf("%q: got %q, want %q", version, got, want)
		}
	}
}
