package bus

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const relayed = "JS.relay.API"

// relay offers the API of JetStream under another prefix. It reports chosen consumers as a server does whose store is older than
// they are.
type relay struct {
	nc *nats.Conn

	mu     sync.Mutex
	ahead  map[string]bool // by stream and consumer, "stream.consumer"
	silent int             // so many requests for consumers get no answer
}

// onlyRelayed lets the user bridge use JetStream by the relay alone.
func onlyRelayed(o *server.Options) {
	o.Users = []*server.User{{Username: "outside"}, {Username: "bridge", Password: "right", Permissions: denied("$JS.API.>", "")}}
	o.NoAuthUser = "outside"
}

func startRelay(t testing.TB, broker *broker, ahead ...string) *relay {
	t.Helper()
	r := &relay{nc: broker.outside(t).nc, ahead: map[string]bool{}}
	for _, name := range ahead {
		r.ahead[name] = true
	}
	if _, err := r.nc.Subscribe(relayed+".>", func(m *nats.Msg) { go r.pass(m) }); err != nil {
		t.Fatal(err)
	}
	if err := r.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *relay) pass(m *nats.Msg) {
	rest := strings.TrimPrefix(m.Subject, relayed+".")
	on := &nats.Msg{Subject: "$JS.API." + rest, Reply: m.Reply, Header: m.Header, Data: m.Data}
	if strings.HasPrefix(rest, "$") {
		on.Subject = rest
	}
	stream, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(rest, "CONSUMER.LIST."), "CONSUMER.INFO."), ".")
	switch {
	case strings.HasPrefix(rest, "CONSUMER.LIST."), strings.HasPrefix(rest, "CONSUMER.INFO."):
		answer, err := r.nc.Request(on.Subject, m.Data, patience)
		if err != nil {
			return
		}
		if changed := r.change(stream, answer.Data); !r.isSilent() {
			_ = m.Respond(changed)
		}
		return
	case strings.HasPrefix(rest, "CONSUMER.DELETE."):
		r.mu.Lock()
		delete(r.ahead, strings.TrimPrefix(rest, "CONSUMER.DELETE."))
		r.mu.Unlock()
	}
	_ = r.nc.PublishMsg(on)
}

// isSilent says whether a request gets no answer.
func (r *relay) isSilent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent--
	return r.silent >= 0
}

// change moves the consumers that are to be ahead.
func (r *relay) change(stream string, answer []byte) []byte {
	var all map[string]any
	if json.Unmarshal(answer, &all) != nil {
		return answer
	}
	infos, _ := all["consumers"].([]any)
	for _, info := range append(infos, any(all)) {
		c, _ := info.(map[string]any)
		name, _ := c["name"].(string)
		r.mu.Lock()
		ahead := r.ahead[stream+"."+name]
		r.mu.Unlock()
		if ahead {
			c["delivered"], c["ack_floor"] = map[string]any{"stream_seq": 1000, "consumer_seq": 1000}, map[string]any{"stream_seq": 1000, "consumer_seq": 1000}
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return answer
	}
	return text
}

func throughRelay(t testing.TB) func(*Config) {
	t.Helper()
	return func(c *Config) {
		userFiles(t, c, "right")
		c.APIPrefix = relayed
	}
}

// TestConsumerAhead: a consumer that is ahead of its stream is reported and repaired, ours and others'; and the API of JetStream is
// used where it is configured, and nowhere else.
func TestConsumerAhead(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, onlyRelayed)
	out := broker.outside(t)
	startRelay(t, broker, "FACTRO_COMMANDS_ACME.egress-acme", "FACTRO_EVENTS_ACME.mirror")
	maker := run(t, broker.connect(t, quiet()))
	storeEvent(t, maker, "e-1")
	if _, err := out.js.CreateConsumer(t.Context(), "FACTRO_EVENTS_ACME", jetstream.ConsumerConfig{Durable: "mirror", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	if _, err := CommandConsumer(t.Context(), maker, "acme"); err != nil {
		t.Fatal(err)
	}
	maker.Close()
	before := out.consumer().Created

	log, book := newLog()
	b := broker.connect(t, log, throughRelay(t))
	start(t, b.Run)
	for _, name := range []string{"egress-acme", "mirror"} {
		eventually(t, name+" is mended", func() bool {
			return strings.Contains(book.String(), `"a consumer was ahead of its stream`) && strings.Contains(book.String(), `"consumer":"`+name+`"`)
		})
	}
	ready(t, b)
	if !out.consumer().Created.After(before) {
		t.Error("the consumer of commands is the old one")
	}
	w, got := collector()
	consume(t, b, w)
	out.command("a")
	receive(t, got)
	mirror, err := out.js.Consumer(t.Context(), "FACTRO_EVENTS_ACME", "mirror")
	if err != nil {
		t.Fatal(err)
	}
	if n := mirror.CachedInfo().NumPending; n != 1 {
		t.Errorf("the mirror waits for %d events, want all, 1", n)
	}
	if known, err := ledger(b).Begin(t.Context(), "acme", "c-1"); known || err != nil {
		t.Errorf("the ledger: %t, %v", known, err)
	}
	if known, err := ledger(b).Look(t.Context(), "acme", "c-1"); !known || err != nil {
		t.Errorf("the ledger: %t, %v", known, err)
	}
	if strings.Contains(book.String(), "Permissions Violation") {
		t.Errorf("something asked elsewhere:\n%s", book)
	}
}

// TestConsumerAheadUnanswered: a check that gets no answer, as while the server elects, is made again soon, and not when the next
// one is due.
func TestConsumerAheadUnanswered(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, onlyRelayed)
	r := startRelay(t, broker, "FACTRO_COMMANDS_ACME.egress-acme")
	r.silent = 1
	maker := run(t, broker.connect(t, quiet()))
	if _, err := CommandConsumer(t.Context(), maker, "acme"); err != nil {
		t.Fatal(err)
	}
	maker.Close()
	log, book := newLog()
	start(t, broker.connect(t, log, throughRelay(t)).Run)
	eventually(t, "it is mended", func() bool { return strings.Contains(book.String(), `"a consumer was ahead of its stream`) })
}

// TestConsumerAheadUnmanaged: without the right to repair it, readiness says what to do.
func TestConsumerAheadUnmanaged(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, onlyRelayed)
	r := startRelay(t, broker, "FACTRO_COMMANDS_ACME.egress-acme")
	maker := run(t, broker.connect(t, quiet()))
	if _, err := CommandConsumer(t.Context(), maker, "acme"); err != nil {
		t.Fatal(err)
	}
	b := broker.connect(t, quiet(), throughRelay(t), func(c *Config) { c.Manage, c.Carries = false, true })
	start(t, b.Run)
	unready(t, b, "its consumer egress-acme is ahead of it")
	cfg := broker.config()
	throughRelay(t)(&cfg)
	c, err := DialClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	found, err := Differences(t.Context(), c)
	if err != nil || len(found) == 0 || !slices.ContainsFunc(found, func(d Difference) bool { return strings.Contains(d.What, "is ahead of it") }) {
		t.Errorf("the differences are %+v, %v", found, err)
	}
	r.mu.Lock()
	clear(r.ahead)
	r.mu.Unlock()
	ready(t, b)
}
