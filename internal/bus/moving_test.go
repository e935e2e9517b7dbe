package bus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// older makes the streams as the version before made them, with consumers of the clouds acme and beta.
func (o outside) older() {
	o.t.Helper()
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "FACTRO_EVENTS", Subjects: []string{"factro.event.>"}, MaxAge: 30 * 24 * time.Hour, Compression: jetstream.S2Compression},
		{
			Name: "FACTRO_COMMANDS", Subjects: []string{"factro.command.>"}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, MaxMsgs: 100_000, AllowMsgTTL: true,
		},
		{Name: "FACTRO_RESULTS", Subjects: []string{"factro.result.>"}, MaxAge: 7 * 24 * time.Hour},
		{Name: "FACTRO_DEAD", Subjects: []string{"factro.dead.>"}, MaxAge: 90 * 24 * time.Hour},
		{
			Name: "FACTRO_ADVISORIES", Retention: jetstream.WorkQueuePolicy, MaxMsgs: 100_000, MaxAge: 30 * 24 * time.Hour,
			Subjects: []string{"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.FACTRO_COMMANDS.*", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.FACTRO_COMMANDS.*"},
		},
		{
			Name: "KV_FACTRO_LEDGER", Subjects: []string{"$KV.FACTRO_LEDGER.>"}, MaxAge: 7 * 24 * time.Hour, MaxBytes: 256 << 20,
			MaxMsgsPerSubject: 1, AllowRollup: true, DenyDelete: true, AllowDirect: true,
		},
	} {
		if cfg.Duplicates = 10 * time.Minute; strings.HasPrefix(cfg.Name, "KV_") {
			cfg.Duplicates = 2 * time.Minute
		}
		cfg.AllowDirect = true
		if _, err := o.js.CreateStream(o.t.Context(), cfg); err != nil {
			o.t.Fatal(err)
		}
	}
	for _, cloud := range []string{"acme", "beta"} {
		if _, err := o.js.CreateConsumer(o.t.Context(), "FACTRO_COMMANDS", jetstream.ConsumerConfig{
			Durable: "egress-" + cloud, FilterSubject: "factro.command." + cloud + ".>", AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: time.Second, MaxAckPending: 1, MaxDeliver: -1,
		}); err != nil {
			o.t.Fatal(err)
		}
	}
}

// fill publishes n messages at once, each on a subject with its number, and returns their bodies in order.
func (o outside) fill(n int, of func(i int) *nats.Msg) (bodies []string) {
	o.t.Helper()
	acks := make([]jetstream.PubAckFuture, n)
	for i := range n {
		m := of(i)
		m.Data = []byte(fmt.Sprintf(`{"n":%d}`, i))
		bodies = append(bodies, string(m.Data))
		var err error
		if acks[i], err = o.js.PublishMsgAsync(m, jetstream.WithStallWait(patience)); err != nil {
			o.t.Fatal(err)
		}
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			o.t.Fatal(err)
		}
	}
	return bodies
}

// bodies are those of the messages of a stream, in order.
func (o outside) bodies(stream string) (all []string, headers []nats.Header) {
	o.t.Helper()
	n := o.count(stream)
	if n == 0 {
		return nil, nil
	}
	s := o.stream(stream)
	for next := s.CachedInfo().State.FirstSeq; n > 0; n-- {
		m, err := s.GetMsg(o.t.Context(), next, jetstream.WithGetMsgSubject(">"))
		if err != nil {
			o.t.Fatalf("%s after %d: %v", stream, len(all), err)
		}
		all, headers, next = append(all, string(m.Data)), append(headers, m.Header), m.Sequence+1
	}
	return all, headers
}

// TestTakeOver: a store of the older version is taken over by bridges that crash again and again, while others go on to
// publish. Nothing is lost, nothing is there twice, and all is in order.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	out.older()
	want := map[string][]string{}
	for _, cloud := range []string{"acme", "beta"} {
		of := func(form string) func(int) *nats.Msg {
			return func(i int) *nats.Msg {
				m := nats.NewMsg(fmt.Sprintf(form, cloud))
				m.Header["Nats-Msg-Id"] = []string{fmt.Sprintf("%s-%s-%d", form, cloud, i)}
				return m
			}
		}
		want["EVENTS"+cloud] = out.fill(2500, of("factro.event.%s.task.1.TaskStateChanged"))
		want["RESULTS"+cloud] = out.fill(1500, of("factro.result.%s.task.createTask.applied"))
		want["DEAD"+cloud] = append(out.fill(300, of("factro.dead.command.%s.task.createTask")), out.fill(200, of("factro.dead.webhook.%s"))...)
		want["COMMANDS"+cloud] = out.fill(900, func(i int) *nats.Msg {
			m := nats.NewMsg("factro.command." + cloud + ".task.createTask")
			switch i % 3 { // without an id, with one, and a CloudEvent
			case 1:
				m.Header["Nats-Msg-Id"] = []string{fmt.Sprintf("%s %d", cloud, i)}
			case 2:
				m.Header["ce-id"] = []string{fmt.Sprint(i)}
			}
			return m
		})
	}
	first := out.stream("FACTRO_COMMANDS").CachedInfo().State.FirstSeq

	// Others publish meanwhile, as bridges do: again until it is stored. On a machine that moves less than comes in it would never
	// end, so their number is bounded.
	const mostLive = 3000
	stopping, stop := context.WithCancel(t.Context())
	var publishing sync.WaitGroup
	live := make([][]string, 2)
	for n, subject := range []string{"factro.event.acme.task.1.TaskStateChanged", "factro.command.acme.task.createTask"} {
		publishing.Go(func() {
			for i := 0; stopping.Err() == nil && i < mostLive; i++ {
				m := nats.NewMsg(subject)
				m.Data = []byte(fmt.Sprintf(`{"live":%d}`, i))
				m.Header["Nats-Msg-Id"] = []string{fmt.Sprintf("live-%d-%d", n, i)}
				out.publish(m) //nolint:contextcheck // the test's own
				live[n] = append(live[n], string(m.Data))
				<-time.After(5 * time.Millisecond) // far more than factro's budget lets through, and less than is moved on a busy machine
			}
		})
	}

	for round := range 12 { // two at a time begin, and are cut off somewhere
		var crashing sync.WaitGroup
		for range 2 {
			change := []any{clouds("acme", "beta")}
			if round > 0 {
				change = append(change, nearly(1<<40)) // so that there is much to copy after the old streams gave up their subjects
			}
			b := broker.connect(t, quiet(), change...)
			crashing.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(250))*time.Millisecond)
				defer cancel()
				_ = b.Run(ctx)
				b.nc.Close()
			})
		}
		crashing.Wait()
	}
	log, book := newLog()
	for _, b := range []*Conn{broker.connect(t, log, clouds("acme", "beta")), broker.connect(t, quiet(), clouds("beta", "acme"))} {
		start(t, b.Run)
		for _, cloud := range []string{"acme", "beta"} {
			select {
			case <-b.StreamsReady(cloud):
			case <-time.After(4 * patience): // there is much to copy
				t.Fatalf("the streams of %s were not taken over", cloud)
			}
		}
		ready(t, b)
	}
	<-time.After(50 * time.Millisecond) // some more come the new way
	stop()
	publishing.Wait()
	want["EVENTSacme"] = append(want["EVENTSacme"], live[0]...)
	want["COMMANDSacme"] = append(want["COMMANDSacme"], live[1]...)

	for key, bodies := range want {
		kind, cloud := strings.TrimRight(key, "abcdefghijklmnopqrstuvwxyz"), strings.TrimLeft(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
		name := "FACTRO_" + kind + "_" + strings.ToUpper(cloud)
		have, headers := out.bodies(name)
		if kind == "DEAD" { // of two sources; each is in order
			slices.Sort(have)
			bodies = slices.Sorted(slices.Values(bodies))
		}
		if !slices.Equal(have, bodies) {
			t.Errorf("%s has %d messages, want %d; first difference at %d", name, len(have), len(bodies), differ(have, bodies))
		}
		cfg := out.stream(name).CachedInfo().Config
		if len(cfg.Sources) > 0 || cfg.SubjectTransform != nil || cfg.MaxBytes <= 0 || cfg.Duplicates != 10*time.Minute {
			t.Errorf("%s is left as %+v", name, cfg)
		}
		if kind != "COMMANDS" {
			continue
		}
		for i := range 900 {
			c, _ := events.Prefix("factro").DecodeCommand("factro.command."+cloud+".task.createTask", headers[i], []byte(have[i]), "elsewhere:1")
			id := fmt.Sprint(i)
			switch i % 3 {
			case 0:
				id = fmt.Sprintf("FACTRO_COMMANDS:%d", first+uint64(i))
				if cloud == "beta" {
					id = fmt.Sprintf("FACTRO_COMMANDS:%d", first+900+uint64(i))
				}
			case 1:
				id = cloud + " " + id
			}
			if c.Event.ID() != id {
				t.Errorf("command %d of %s has the id %q, want %q", i, cloud, c.Event.ID(), id)
			}
		}
	}
	if n := out.count("FACTRO_COMMANDS"); n != 0 {
		t.Errorf("%d commands are left in the old queue", n)
	}
	for _, kind := range []string{"EVENTS", "COMMANDS", "RESULTS", "DEAD"} {
		if s := out.stream("FACTRO_" + kind).CachedInfo().Config.Subjects; !slices.Equal(s, []string{"FACTRO_" + kind}) {
			t.Errorf("FACTRO_%s has the subjects %v", kind, s)
		}
	}
	if n := book.count("they can be deleted"); n != 1 {
		t.Errorf("it is logged %d times that the old streams can be deleted:\n%s", n, book)
	}
}

func differ(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestTakeOverOfOneCloud: a bridge takes over its own clouds, and leaves the others to the bridge that works for them.
func TestTakeOverOfOneCloud(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	out.older()
	b := run(t, broker.connect(t, quiet(), clouds("acme")))
	receive(t, b.StreamsReady("acme"))
	for _, subject := range []string{"factro.event.beta.task.1.x", "factro.result.beta.task.createTask.applied", "factro.dead.webhook.beta", "factro.command.beta.task.createTask"} {
		out.publish(&nats.Msg{Subject: subject})
	}
	later := run(t, broker.connect(t, quiet(), clouds("beta")))
	receive(t, later.StreamsReady("beta"))
	for _, kind := range []string{"EVENTS", "RESULTS", "DEAD", "COMMANDS"} {
		if n := out.count("FACTRO_" + kind + "_BETA"); n != 1 {
			t.Errorf("%s of beta has %d messages", kind, n)
		}
	}
}

// TestTakeOverInFlight: what a bridge of the older version is carrying out is not carried out by another one too. It comes over
// when that bridge gives it back.
func TestTakeOverInFlight(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	out.older()
	out.command("a")
	out.command("b")
	c, err := out.js.CreateOrUpdateConsumer(t.Context(), "FACTRO_COMMANDS", jetstream.ConsumerConfig{
		Durable: "egress-acme", FilterSubject: "factro.command.acme.>", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: time.Minute, MaxAckPending: 1, MaxDeliver: -1, // it does not come back by itself
	})
	if err != nil {
		t.Fatal(err)
	}
	hand, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	b := run(t, broker.connect(t, quiet()))
	w, got := collector()
	consume(t, b, w)
	receive(t, b.StreamsReady("acme"))
	out.command("c")
	if id := receive(t, got).Event.ID(); id != "c" {
		t.Errorf("%s came, which the older bridge works on or has before it", id)
	}
	if err := hand.Nak(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a", "b"} {
		if id := receive(t, got).Event.ID(); id != want {
			t.Errorf("%s came, want %s", id, want)
		}
	}
	eventually(t, "the old queue is empty", func() bool { return out.count("FACTRO_COMMANDS") == 0 })
}

// TestTakeWaits: a stream takes its subjects only when all of the old one was copied.
func TestTakeWaits(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	out.older()
	const n = 10_000
	out.fill(n, func(int) *nats.Msg { return nats.NewMsg("factro.event.acme.task.1.TaskStateChanged") })
	b := broker.connect(t, quiet(), nearly(1<<40), WithTiming(Timing{CheckTimeout: patience})) // the old stream gives up its subjects although much is left
	b.streams.Check(t.Context())
	for b.IsMoving("FACTRO_EVENTS_ACME") {
		b.streams.Check(t.Context())
	}
	if have := out.count("FACTRO_EVENTS_ACME"); have != n {
		t.Errorf("%d of %d were copied", have, n)
	}
}
