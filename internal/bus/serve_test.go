package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/trace"

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

// serve answers the queries of the cloud acme, and waits until it does.
func serve(t testing.TB, b *Conn, o outside, r Reader) (stop func()) {
	t.Helper()
	stop = start(t, func(ctx context.Context) error { return b.Serve(ctx, acme, r) })
	eventually(t, "the service answers", func() bool {
		_, err := o.nc.Request("$SRV.PING.factro-query-acme", nil, time.Second)
		return err == nil
	})
	return stop
}

func (o outside) ask(subject, data string, header nats.Header) *nats.Msg {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	m, err := o.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: header, Data: []byte(data)})
	if err != nil {
		o.t.Fatalf("ask on %s: %v", subject, err)
	}
	return m
}

func (o outside) tell(subject string, into any) {
	o.t.Helper()
	if err := json.Unmarshal(o.ask(subject, "", nil).Data, into); err != nil {
		o.t.Fatalf("%s: %v", subject, err)
	}
}

// TestServeForms: a query is plain JSON, nothing, or a CloudEvent in either mode.
func TestServeForms(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, o := srv.connect(t, quiet()), srv.outside(t)
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
		m := o.ask(taskQuery, tt.data, tt.header)
		q := receive(t, got)
		if string(m.Data) != tt.want || q.Mistake != nil || q.Address != (events.Address{Cloud: "acme", Resource: "task", Operation: "getTask"}) {
			t.Errorf("%s: %s, %+v", name, m.Data, q)
		}
		if m.Header.Get(events.HeaderError) != "" || m.Header.Get(events.HeaderObject) != "" {
			t.Errorf("%s: the headers are %v", name, m.Header)
		}
	}
	o.ask(taskQuery, "{}", nats.Header{"ce-specversion": {"1.0"}})
	if q := receive(t, got); q.Mistake == nil {
		t.Error("a broken CloudEvent is no mistake")
	}
}

// TestServeErrors: an error is in the headers that NATS services have, and whole in the data.
func TestServeErrors(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, o := srv.connect(t, quiet()), srv.outside(t)
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
	m := o.ask(taskQuery, "", nil)
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
	m = o.ask(tasksQuery, "", nil)
	if string(m.Data) != `{"object":{"bucket":"FACTRO_ANSWERS_ACME","name":"n","size":7}}` || m.Header.Get("Factro-Object") != "FACTRO_ANSWERS_ACME/n" {
		t.Errorf("the answer is %s with %v", m.Data, m.Header)
	}
}

// TestServeStatistics: the tools of NATS see the service, each of its endpoints, and every error.
func TestServeStatistics(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, o := srv.connect(t, quiet()), srv.outside(t)
	serve(t, b, o, reads(func(ctx context.Context, q Query) Answer {
		if q.Operation == "listTasks" || string(q.Data) == "{}" {
			return Answer{Status: 404, Error: &events.Error{Code: "refused", Message: "not here"}}
		}
		return echo(ctx, q)
	}))
	var ping micro.Ping
	o.tell("$SRV.PING", &ping)
	if ping.Name != "factro-query-acme" || ping.Version != "1.2.3" || ping.Metadata["cloud"] != "acme" || ping.Type != micro.PingResponseType {
		t.Errorf("the ping is %+v", ping)
	}
	var info micro.Info
	o.tell("$SRV.INFO.factro-query-acme."+ping.ID, &info)
	if len(info.Endpoints) != 2 || info.Description == "" || info.Type != micro.InfoResponseType {
		t.Fatalf("the info is %+v", info)
	}
	if e := info.Endpoints[0]; e.Name != "getTask" || e.Subject != taskQuery || e.QueueGroup != "q" || e.Metadata["method"] != "GET" {
		t.Errorf("the endpoint is %+v", e)
	}
	for _, data := range []string{`{"taskId":"1"}`, `{"taskId":"2"}`, "", ""} {
		o.ask(taskQuery, data, nil)
	}
	o.ask(tasksQuery, "", nil)
	o.ask("factro.query.acme.task.inventTask", `{"x":1}`, nil)
	var stats micro.Stats
	eventually(t, "all are counted", func() bool { // which comes right after the answer
		o.tell("$SRV.STATS.factro-query-acme", &stats)
		return stats.Endpoints[0].NumRequests == 4 && stats.Endpoints[1].NumRequests == 1
	})
	if e := stats.Endpoints[0]; e.NumErrors != 2 || e.LastError != "404:not here" || e.ProcessingTime <= 0 || e.AverageProcessingTime != e.ProcessingTime/4 {
		t.Errorf("the statistics are %+v", e)
	}
	if len(stats.Endpoints) != 2 || stats.Endpoints[1].NumErrors != 1 || stats.Started.IsZero() || stats.Type != micro.StatsResponseType {
		t.Errorf("the statistics are %+v", stats)
	}
}

// TestServeAtOnce: a slow query holds up no other, of the same operation either; beyond the limit one is told to come again.
func TestServeAtOnce(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, o := srv.connect(t, quiet()), srv.outside(t)
	begun, goOn := make(chan struct{}, maxQueries), make(chan struct{})
	serve(t, b, o, reads(func(ctx context.Context, q Query) Answer {
		begun <- struct{}{}
		<-goOn
		return echo(ctx, q)
	}))
	inbox, err := o.nc.SubscribeSync("_INBOX.test.*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxQueries {
		if err := o.nc.PublishRequest(taskQuery, fmt.Sprintf("_INBOX.test.%d", i), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for range maxQueries {
		receive(t, begun)
	}
	m := o.ask(taskQuery, "", nil)
	if m.Header.Get(events.HeaderErrorCode) != "503" || m.Header.Get("Retry-After") != "1" {
		t.Errorf("the answer to one too many is %s with %v", m.Data, m.Header)
	}
	close(goOn)
	for range maxQueries {
		if m, err := inbox.NextMsg(patience); err != nil || string(m.Data) != "{}" {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	if m := o.ask(taskQuery, "", nil); m.Header.Get(events.HeaderErrorCode) != "" {
		t.Errorf("afterwards: %v", m.Header)
	}
}

// TestServeStops: what is in hand is finished, what comes later goes to another bridge.
func TestServeStops(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, o := srv.connect(t, quiet()), srv.outside(t)
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
	go func() { answer <- o.ask(taskQuery, `{"taskId":"1"}`, nil) }()
	receive(t, begun)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	eventually(t, "nobody takes queries", func() bool {
		_, err := o.nc.Request(taskQuery, nil, time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	select {
	case <-stopped:
		t.Error("it stopped before the query was answered")
	default:
	}
	close(goOn)
	if m := receive(t, answer); string(m.Data) != `{"taskId":"1"}` {
		t.Errorf("the answer is %s", m.Data)
	}
	receive(t, stopped)
}

// TestServeGrace: a query that takes longer than the grace is given up.
func TestServeGrace(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, o := srv.connect(t, quiet(), func(c *Config) { c.DrainTimeout = 10 * time.Millisecond }), srv.outside(t)
	begun := make(chan struct{}, 1)
	stop := serve(t, b, o, reads(func(ctx context.Context, _ Query) Answer {
		begun <- struct{}{}
		<-ctx.Done()
		return Answer{Status: 503, Error: &events.Error{Code: "unavailable", Message: "stopped"}}
	}))
	answer := make(chan *nats.Msg, 1)
	go func() { answer <- o.ask(taskQuery, "", nil) }()
	receive(t, begun)
	stop()
	if m := receive(t, answer); m.Header.Get(events.HeaderErrorCode) != "503" {
		t.Errorf("the answer is %s", m.Data)
	}
}

// TestServeShares: several bridges share the queries, and nobody is answered twice.
func TestServeShares(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	o := srv.outside(t)
	took := make(chan int, 200)
	for i := range 2 {
		serve(t, srv.connect(t, quiet()), o, reads(func(ctx context.Context, q Query) Answer { took <- i; return echo(ctx, q) }))
	}
	eventually(t, "both have answered", func() bool {
		o.ask(taskQuery, "", nil)
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
	srv := newBroker(t)
	b := srv.connect(t, quiet())
	start(t, func(ctx context.Context) error { return b.Serve(ctx, acme, reads(echo)) })
	srv.start()
	o := srv.outside(t)
	answered := func() bool {
		m, err := o.nc.Request(taskQuery, []byte(`{"taskId":"1"}`), time.Second)
		return err == nil && string(m.Data) == `{"taskId":"1"}`
	}
	eventually(t, "it answers when NATS has come", answered)
	srv.stop()
	eventually(t, "the bus knows that NATS is away", func() bool { return errors.Is(b.Ready(), errNotConnected) })
	srv.start()
	eventually(t, "it answers when NATS is back", answered)
}

// TestServeStopsWithoutNATS: the end does not wait for a server that is away.
func TestServeStopsWithoutNATS(t *testing.T) {
	t.Parallel()
	srv := newBroker(t)
	b := srv.connect(t, quiet())
	start(t, func(ctx context.Context) error { return b.Serve(ctx, acme, reads(echo)) })()
}

// TestServeReplySubject: a requester cannot have the bridge write where only the bridge may; nor does one who wants no answer
// cost a request.
func TestServeReplySubject(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	log, book := newLog()
	b, o := run(t, srv.connect(t, log)), srv.outside(t)
	asked := make(chan Query, 10)
	serve(t, b, o, reads(func(ctx context.Context, q Query) Answer { asked <- q; return echo(ctx, q) }))
	for _, reply := range []string{"", "another.program", "factro.command.acme.task.deleteTask", "$JS.API.STREAM.PURGE.FACTRO_EVENTS_ACME", "a." + strings.Repeat("x", 2000)} {
		if err := o.nc.PublishMsg(&nats.Msg{Subject: taskQuery, Reply: reply, Data: []byte(`{"taskId":"1"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "they are dropped", func() bool { return book.count("reply subject is neither an inbox nor below") == 1 })
	o.ask(taskQuery, "", nil)
	if n := o.count("FACTRO_COMMANDS_ACME"); n != 0 || b.Ready() != nil {
		t.Errorf("%d commands; ready: %v", n, b.Ready())
	}
	if len(asked) != 1 {
		t.Errorf("%d were asked, want the last one", len(asked))
	}
}

// TestServeTrace: the requester's trace goes on, and the answer belongs to it.
func TestServeTrace(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, o := srv.connect(t, quiet()), srv.outside(t)
	serve(t, b, o, reads(echo))
	traceID, spanID := strings.ReplaceAll(uuid.NewString(), "-", ""), "00f067aa0ba902b7"
	m := o.ask(taskQuery, "", nats.Header{"traceparent": {"00-" + traceID + "-" + spanID + "-01"}})
	eventually(t, "the span has ended", func() bool {
		for _, s := range spans.GetSpans() {
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
