package commands

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// keyed sends a command of a key.
func keyed(t testing.TB, out bustest.Outside, id, source, key string) {
	t.Helper()
	m := nats.NewMsg(refusedCommand)
	m.Header = nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {source}, "ce-type": {"com.factro.command.deleteTask"}}
	if key != "" {
		m.Header["ce-partitionkey"] = []string{key}
	}
	m.Data = []byte(`{}`)
	if _, err := out.JS.PublishMsgAsync(m, jetstream.WithStallWait(natstest.Patience)); err != nil {
		t.Fatal(err)
	}
}

// sent waits until all that was sent is in the stream.
func sent(t testing.TB, out bustest.Outside) {
	t.Helper()
	natstest.Receive(t, out.JS.PublishAsyncComplete())
}

// run works on the commands of acme with these options.
func run(t testing.TB, c *Consumer, o Options, w Worker) (stop func()) {
	t.Helper()
	return bustest.Start(t, func(ctx context.Context) error { return c.Run(ctx, "acme", o, w) })
}

// TestStuckLane: 5,000 commands of a key that waits hold up none of 100 others, whether they fit into the index or not, and are
// carried out in their order when it waits no longer.
func TestStuckLane(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int{"in the index": index.Most, "more than it holds": 512} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
			out := bustest.Connected(t, server)
			const stuck, others = 5000, 100
			for i := range stuck {
				keyed(t, out, "s-"+strconv.Itoa(i), "urn:x", "stuck")
			}
			for i := range others {
				keyed(t, out, "o-"+strconv.Itoa(i), "urn:x", strconv.Itoa(i%10))
			}
			sent(t, out)
			var waits atomic.Bool
			waits.Store(true)
			var mu sync.Mutex
			var order []int
			left := atomic.Int32{}
			left.Store(others)
			c, _ := consumer(t, b, bustest.Quiet())
			c.mostIndexed = most
			run(t, c, Options{Slots: slots.Limits{Usual: 8}}, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
				id := cmd.Event.ID()
				if id[0] == 'o' {
					left.Add(-1)
					return nil
				}
				if waits.Load() {
					return RetryAfter(errors.New("busy"), 50*time.Millisecond)
				}
				n, err := strconv.Atoi(id[2:])
				mu.Lock()
				defer mu.Unlock()
				order = append(order, n)
				return err
			}})
			natstest.Eventually(t, "the others are done", func() bool { return left.Load() == 0 })
			natstest.Eventually(t, "only the stuck ones are left", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == stuck })
			waits.Store(false)
			awaitEmpty(t, out)
			mu.Lock()
			defer mu.Unlock()
			for i, n := range order {
				if i != n {
					t.Fatalf("number %d was carried out as number %d", n, i)
				}
			}
			if len(order) != stuck {
				t.Errorf("%d were carried out, want %d", len(order), stuck)
			}
		})
	}
}

// TestFairSenders: one command of a sender is among the next ones, however many of another sender wait.
func TestFairSenders(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	const waiting, concurrency = 2000, 4
	for i := range waiting {
		keyed(t, out, strconv.Itoa(i), "urn:import", "")
	}
	sent(t, out)
	begun, proceed := make(chan string), make(chan struct{})
	c, _ := consumer(t, b, bustest.Quiet())
	run(t, c, Options{Slots: slots.Limits{Usual: concurrency}}, worker{handle: func(ctx, _ context.Context, cmd events.Command, _ error) error {
		select {
		case begun <- cmd.Source():
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-proceed:
		case <-ctx.Done():
		}
		return nil
	}})
	for range concurrency {
		natstest.Receive(t, begun)
	}
	natstest.Eventually(t, "all are known", func() bool { return out.Commands().NumPending == 0 })
	keyed(t, out, "one", "urn:person", "")
	sent(t, out)
	natstest.Eventually(t, "it is known", func() bool { // not only delivered
		_, _, known, _ := c.Place("acme", waiting+1)
		return known
	})
	for n := range concurrency + 1 {
		proceed <- struct{}{}
		if natstest.Receive(t, begun) == "urn:person" {
			close(proceed)
			go func() {
				for range begun {
				}
			}()
			return
		}
		if n == concurrency {
			t.Errorf("%d others were carried out first", n)
		}
	}
}

// witness checks what several bridges carry out: each key in order, each command once.
type witness struct {
	mu      sync.Mutex
	last    map[string]int
	done    map[string]int
	running map[string]bool
	wrong   []string
}

func newWitness() *witness {
	return &witness{last: map[string]int{}, done: map[string]int{}, running: map[string]bool{}}
}

// known says whether a command was carried out, as a worker finds it in the ledger.
func (w *witness) known(key string, n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done[fmt.Sprint(key, "/", n)] > 0
}

func (w *witness) begin(key string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[key] {
		w.wrong = append(w.wrong, fmt.Sprintf("two of %s at once", key))
	}
	w.running[key] = true
	if n < w.last[key] {
		w.wrong = append(w.wrong, fmt.Sprintf("%d of %s after %d", n, key, w.last[key]))
	}
}

func (w *witness) end(key string, n int, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[key] = false
	if done {
		w.last[key] = n + 1
		w.done[fmt.Sprint(key, "/", n)]++
	}
}

// TestTakeover: bridges that lose their lease in the middle and bridges that stop take over from each other. Each key stays in order, and
// each command is carried out once.
func TestTakeover(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	out := bustest.Connected(t, server)
	const keys, each = 20, 40
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	seen := newWitness()
	work := worker{handle: func(ctx, _ context.Context, cmd events.Command, _ error) error {
		var key string
		var n int
		if _, err := fmt.Sscanf(cmd.Event.ID(), "%s %d", &key, &n); err != nil {
			return err
		}
		if err := MayCall(ctx); err != nil {
			return err
		}
		if seen.known(key, n) { // its acknowledgement did not reach the broker
			return nil
		}
		seen.begin(key, n)
		fails := rand.IntN(10) == 0
		select {
		case <-time.After(time.Duration(1+rand.IntN(5)) * time.Millisecond):
		case <-ctx.Done():
			fails = true
		}
		seen.end(key, n, !fails)
		if fails {
			return RetryAfter(errors.New("busy"), 10*time.Millisecond)
		}
		return nil
	}}
	for n := range each {
		for k := range keys {
			keyed(t, out, fmt.Sprintf("k%d %d", k, n), "urn:x", strconv.Itoa(k))
		}
	}
	sent(t, out)
	for round := 0; out.Count("FACTRO_COMMANDS_ACME") > 0; round++ {
		if round > 100 {
			t.Fatal("it does not end")
		}
		c, _ := consumer(t, b, bustest.Quiet())
		before := out.Count("FACTRO_COMMANDS_ACME")
		if round%2 != 0 { // it loses its lease in the middle
			taken := make(chan *fading, 10)
			inner := c.acquire
			c.acquire = func(ctx context.Context, key string) (Lease, error) {
				l, err := inner(ctx, key)
				if err != nil {
					return nil, err
				}
				f := &fading{Lease: l, lost: make(chan struct{})}
				taken <- f
				return f, nil
			}
			stop := run(t, c, Options{Slots: slots.Limits{Usual: 8}}, work)
			f := natstest.Receive(t, taken)
			natstest.Eventually(t, "it works", func() bool { return out.Count("FACTRO_COMMANDS_ACME") < before })
			f.fade()
			stop()
			continue
		}
		stop := run(t, c, Options{Slots: slots.Limits{Usual: 8}}, work) // it stops
		natstest.Eventually(t, "it works", func() bool { n := out.Count("FACTRO_COMMANDS_ACME"); return n == 0 || n+50 < before })
		stop()
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.wrong) > 0 {
		t.Errorf("%d are wrong, such as %s", len(seen.wrong), seen.wrong[0])
	}
	if len(seen.done) != keys*each {
		t.Errorf("%d were carried out, want %d", len(seen.done), keys*each)
	}
	for which, n := range seen.done {
		if n != 1 {
			t.Errorf("%s was carried out %d times", which, n)
		}
	}
}

// fading is a lease that can be lost at any time.
type fading struct {
	Lease
	once sync.Once
	lost chan struct{}
}

func (f *fading) fade() { f.once.Do(func() { close(f.lost) }) }

func (f *fading) Lost() <-chan struct{} { return f.lost }

func (f *fading) Until() time.Time {
	select {
	case <-f.lost:
		return time.Time{}
	default:
		return f.Lease.Until()
	}
}

// TestFrozen: a bridge whose lease has run out, and which does not know it yet, makes no call.
func TestFrozen(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	makeLeases(t, b)
	c, _ := consumer(t, b, bustest.Quiet())
	f := &fading{lost: make(chan struct{}), Lease: unshared{}}
	c.acquire = func(context.Context, string) (Lease, error) { return stale{f}, nil }
	checked := make(chan error, 10)
	run(t, c, Options{}, worker{handle: func(ctx, _ context.Context, _ events.Command, _ error) error {
		f.fade()
		checked <- MayCall(ctx)
		return nil
	}})
	bustest.Connected(t, server).Command("a")
	if err := natstest.Receive(t, checked); !errors.Is(err, errLeaseLost) {
		t.Errorf("it may call: %v", err)
	}
}

// stale is a lease whose loss nobody tells.
type stale struct{ *fading }

func (stale) Lost() <-chan struct{} { return nil }

// TestOlderConsumer: a consumer of an older version is replaced, or, without the right to that, used as it is.
func TestOlderConsumer(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string]string{
		"replaced": "", "may not create": "$JS.API.CONSUMER.CREATE.FACTRO_COMMANDS_ACME.>", "may not delete": "$JS.API.CONSUMER.DELETE.FACTRO_COMMANDS_ACME.>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t, bustest.Users(bustest.Denied(denied, "")))
			out := bustest.Connected(t, server)
			makeLeases(t, bustest.Run(t, bustest.Connect(t, server, bustest.Quiet())))
			older := bus.Config{Prefix: "factro"}.Plan().Consumer("acme", 10*time.Second)
			older.MaxAckPending = 1
			if _, err := out.JS.CreateConsumer(t.Context(), "FACTRO_COMMANDS_ACME", older); err != nil {
				t.Fatal(err)
			}
			log, book := bustest.NewLog()
			b := bustest.Run(t, bustest.Connect(t, server, log, bustest.AsBridge, func(c *bus.Config) { c.Manage, c.Carries = false, true }))
			w, got := collector()
			consumeWith(t, b, log, w)
			for i := range 3 {
				out.Command(strconv.Itoa(i))
			}
			for i := range 3 {
				if id := natstest.Receive(t, got).Event.ID(); id != strconv.Itoa(i) {
					t.Errorf("%s came, want %d", id, i)
				}
			}
			natstest.Eventually(t, "all are settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
			if denied == "" && out.Commands().Config.MaxAckPending != -1 {
				t.Errorf("the consumer is %+v", out.Commands().Config)
			}
			if said := book.Count("cannot be created again"); (name == "may not create") != (said == 1) {
				t.Errorf("it was said %d times that the consumer cannot be created again", said)
			}
		})
	}
}

// TestIndexMemory: what an index of the largest size costs, with commands of ordinary length, each about a task of its own. Beside the
// messages that are kept for a moment, it is a number of bytes for each command.
func TestIndexMemory(t *testing.T) { //nolint:paralleltest // it measures the heap
	const most = 800 // bytes for each, its lane and its reply subject included
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	for _, size := range []int{0, 4 << 10} {
		before, now := heap(), time.Now()
		x := index.New(index.Most)
		for i := range uint64(index.Most) {
			it := &index.Item{Stored: now, Reply: fmt.Sprintf("$JS.ACK.FACTRO_COMMANDS_ACME.egress-acme.1.%d.%d.1764470000000000000.%d", i, i, index.Most-i), Since: now, Renewed: now}
			it.Seq, it.Lane, it.Source = i, fmt.Sprintf("task/taskId/00000000-0000-0000-0000-%012d", i), fmt.Sprintf("urn:import:%d", i%8)
			if size > 0 {
				it.Msg = &nats.Msg{Data: make([]byte, size)}
			}
			x.Add(it, false)
		}
		bytes := heap() - before
		if size > 0 {
			bytes -= index.MostFresh
		}
		t.Logf("with messages of %d bytes: %d bytes for each command", size, bytes/index.Most)
		if bytes > index.Most*most {
			t.Errorf("an index of %d commands with messages of %d bytes takes %d bytes for each beside the messages, want at most %d", x.Size(), size, bytes/index.Most, most)
		}
		runtime.KeepAlive(x)
	}
}

// TestHoldOnDead: a dead letter stops the commands about the same thing and no others, also after a restart, until it is sent again,
// which goes first, or dropped.
func TestHoldOnDead(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	client := bustest.Client(t, server)
	got := make(chan string, 100)
	var refuses atomic.Bool
	refuses.Store(true)
	w := worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Event.ID()
		if refuses.Load() && cmd.Event.ID() == "bad" {
			return Terminal(deadletter.Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
		}
		return nil
	}}
	start := func() (stop func()) {
		c, _ := consumer(t, b, bustest.Quiet())
		return run(t, c, Options{Slots: slots.Limits{Usual: 4}, HoldOnDead: true}, w)
	}
	expect := func(ids ...string) {
		t.Helper()
		for _, want := range ids {
			if id := natstest.Receive(t, got); id != want {
				t.Errorf("%s was carried out, want %s", id, want)
			}
		}
	}
	stop := start()
	for _, id := range []string{"bad", "second", "third"} {
		keyed(t, out, id, "urn:x", "k")
	}
	expect("bad")
	keyed(t, out, "other", "urn:x", "l")
	expect("other")
	stop()
	stop = start()
	keyed(t, out, "another", "urn:x", "l")
	expect("another")
	natstest.Eventually(t, "the held ones wait", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 2 && out.Count("FACTRO_DEAD_ACME") == 1 })

	again := func(sequence uint64) { // as bridge dead redrive does
		t.Helper()
		l, err := deadletter.Get(t.Context(), client, "factro", "acme", sequence)
		if err != nil {
			t.Fatal(err)
		}
		r, err := deadletter.NewRedrive("factro", l, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Send(t.Context(), client, "factro"); err != nil {
			t.Fatal(err)
		}
		if err := out.Stream("FACTRO_DEAD_ACME").DeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
	again(1)
	expect("bad") // in vain: it is a dead letter again, and holds the lane
	natstest.Eventually(t, "it is a dead letter again", func() bool { return out.Stream("FACTRO_DEAD_ACME").CachedInfo().State.LastSeq == 2 })
	refuses.Store(false)
	again(2)
	expect("bad", "second", "third")
	natstest.Eventually(t, "all are done", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })

	refuses.Store(true)
	keyed(t, out, "bad", "urn:y", "k")
	keyed(t, out, "fourth", "urn:y", "k")
	expect("bad")
	natstest.Eventually(t, "it is a dead letter", func() bool { return out.Count("FACTRO_DEAD_ACME") == 1 })
	if err := out.Stream("FACTRO_DEAD_ACME").DeleteMsg(t.Context(), out.Stream("FACTRO_DEAD_ACME").CachedInfo().State.LastSeq); err != nil { // as bridge dead drop does
		t.Fatal(err)
	}
	expect("fourth")
	stop()
}

// quickOperator drops each dead letter as soon as it is stored.
type quickOperator struct {
	DeadLetters
	stream jetstream.Stream
}

func (o quickOperator) GiveUpCommand(ctx context.Context, letter deadletter.PendingPublish) (uint64, error) {
	sequence, err := o.DeadLetters.GiveUpCommand(ctx, letter)
	if err != nil {
		return sequence, err
	}
	return sequence, o.stream.DeleteMsg(ctx, sequence)
}

// TestDroppedBeforeHeld: a dead letter that is dropped before its lane is held does not hold the lane for ever.
func TestDroppedBeforeHeld(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	got := make(chan string, 100)
	w := worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Event.ID()
		if cmd.Event.ID() == "bad" {
			return Terminal(deadletter.Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
		}
		return nil
	}}
	c, letters := consumer(t, b, bustest.Quiet())
	c.letters = quickOperator{letters, out.Stream("FACTRO_DEAD_ACME")}
	stop := run(t, c, Options{Slots: slots.Limits{Usual: 4}, HoldOnDead: true}, w)
	defer stop()
	for _, id := range []string{"bad", "second", "third"} {
		keyed(t, out, id, "urn:x", "k")
	}
	for _, want := range []string{"bad", "second", "third"} {
		if id := natstest.Receive(t, got); id != want {
			t.Errorf("%s was carried out, want %s", id, want)
		}
	}
}

// TestHeldAndChanged: a dead letter that is sent again with other data goes before what it held up, also when another bridge takes
// over while it waits for its next attempt.
func TestHeldAndChanged(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	client := bustest.Client(t, server)
	got := make(chan string, 100)
	var waits atomic.Bool
	waits.Store(true)
	w := worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		if id := cmd.Event.ID(); id == "bad" {
			got <- id
			return Terminal(deadletter.Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
		}
		got <- string(cmd.Event.Data())
		if waits.Load() {
			return RetryAfter(errors.New("busy"), time.Hour)
		}
		return nil
	}}
	start := func() (stop func()) {
		c, _ := consumer(t, b, bustest.Quiet())
		return run(t, c, Options{Slots: slots.Limits{Usual: 4}, HoldOnDead: true}, w)
	}
	stop := start()
	keyed(t, out, "bad", "urn:x", "k")
	if id := natstest.Receive(t, got); id != "bad" {
		t.Fatalf("%s was carried out first", id)
	}
	natstest.Eventually(t, "it is a dead letter", func() bool { return out.Count("FACTRO_DEAD_ACME") == 1 })
	for _, id := range []string{"second", "third"} {
		keyed(t, out, id, "urn:x", "k")
	}
	l, err := deadletter.Get(t.Context(), client, "factro", "acme", 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := deadletter.NewRedrive("factro", l, []byte(`{"taskId":"changed"}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Send(t.Context(), client, "factro"); err != nil {
		t.Fatal(err)
	}
	if err := out.Stream("FACTRO_DEAD_ACME").DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if data := natstest.Receive(t, got); data != `{"taskId":"changed"}` {
		t.Errorf("%s was carried out, want what was changed", data)
	}
	stop()
	stop = start()
	if data := natstest.Receive(t, got); data != `{"taskId":"changed"}` { // the next bridge does not know how long it had to wait
		t.Errorf("%s was carried out after the takeover, want what was changed", data)
	}
	stop()
	waits.Store(false)
	stop = start()
	defer stop()
	if data := natstest.Receive(t, got); data != `{"taskId":"changed"}` {
		t.Errorf("%s was carried out, want what was changed", data)
	}
	for range 2 {
		if data := natstest.Receive(t, got); data == `{"taskId":"changed"}` {
			t.Error("what was changed was carried out twice")
		}
	}
	natstest.Eventually(t, "all are done", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
}

// clerk is a worker that tells senders how long they wait.
type clerk struct {
	worker
	news chan estimate
}

type estimate struct {
	id        string
	at, until time.Time
}

func (clerk) Forecast(int) time.Duration { return 0 } // the number of calls is no limit here

func (c clerk) Defer(_ context.Context, cmd events.Command, _ error, wait Wait) error {
	c.news <- estimate{cmd.Event.ID(), time.Now(), wait.Until}
	return nil
}

// TestReported: whoever waits for more than five seconds hears so, and for how long, which comes true. It has the package for itself,
// since other tests would change the pace.
func TestReported(t *testing.T) { //nolint:paralleltest // see above
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	const all = 600
	for i := range all {
		keyed(t, out, strconv.Itoa(i), "urn:x", "")
	}
	sent(t, out)
	var mu sync.Mutex
	begun := map[string]time.Time{}
	w := clerk{news: make(chan estimate, 10*all), worker: worker{handle: func(ctx, _ context.Context, cmd events.Command, _ error) error {
		mu.Lock()
		begun[cmd.Event.ID()] = time.Now()
		mu.Unlock()
		select {
		case <-time.After(40 * time.Millisecond):
		case <-ctx.Done():
		}
		return nil
	}}}
	c, _ := consumer(t, b, bustest.Quiet())
	run(t, c, Options{Slots: slots.Limits{Usual: 2}}, w)
	awaitEmpty(t, out)
	close(w.news)
	first, right := map[string]bool{}, 0
	for n := range w.news {
		if first[n.id] {
			continue
		}
		first[n.id] = true
		said, was := n.until.Sub(n.at), begun[n.id].Sub(n.at)
		if off := (said - was).Abs(); off <= was/5 || off < time.Second {
			right++
		}
	}
	if len(first) == 0 || right < len(first)*2/3 {
		t.Errorf("%d were informed, and that came true for %d", len(first), right)
	}
}

// awaitEmpty waits until all commands are settled, each part of them in a time of its own.
func awaitEmpty(t testing.TB, out bustest.Outside) {
	t.Helper()
	for left := out.Count("FACTRO_COMMANDS_ACME"); left > 0; left = out.Count("FACTRO_COMMANDS_ACME") {
		natstest.Eventually(t, "more are done", func() bool { n := out.Count("FACTRO_COMMANDS_ACME"); return n == 0 || n+10 <= left })
	}
}

// prophet is a clerk that knows when the time has come.
type prophet struct {
	clerk
	comes time.Time
}

func (p prophet) Forecast(n int) time.Duration {
	return time.Until(p.comes) + time.Duration(n)*time.Millisecond
}

// TestReportedBeyond: the senders of commands that do not fit into the index hear that they wait, each once, and those that do fit later
// do not hear it again.
func TestReportedBeyond(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(int) string{
		"one sender": func(int) string { return "" }, "one lane": func(int) string { return "k" }, "many lanes": strconv.Itoa,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
			out := bustest.Connected(t, server)
			const all, most = 400, 128
			for i := range all {
				keyed(t, out, strconv.Itoa(i), "urn:x", key(i))
			}
			sent(t, out)
			const quick = 20 // so that it is known how long a command takes
			var open atomic.Bool
			var begun atomic.Int64
			release := make(chan struct{})
			w := prophet{comes: time.Now().Add(10 * time.Hour), clerk: clerk{news: make(chan estimate, 10*all), worker: worker{handle: func(ctx, _ context.Context, _ events.Command, _ error) error {
				if begun.Add(1) <= quick {
					return nil
				}
				if open.Load() {
					delivery.Pause(ctx, 50*time.Millisecond) // the index is full again and again meanwhile, and is not between
					return nil
				}
				select {
				case <-release:
				case <-ctx.Done():
				}
				return nil
			}}}}
			c, _ := consumer(t, b, bustest.Quiet())
			c.mostIndexed = most
			stop := run(t, c, Options{Slots: slots.Limits{Usual: 1}}, w)
			heard := map[string]int{}
			for len(heard) < all-quick-1 { // one is carried out
				heard[natstest.Receive(t, w.news).id]++
			}
			open.Store(true)
			close(release)
			awaitEmpty(t, out)
			stop()
			close(w.news)
			for n := range w.news {
				heard[n.id]++
			}
			again := 0
			for _, n := range heard {
				again += n - 1
			}
			if again > all/10 {
				t.Errorf("%d reports were repeated although nothing had changed", again)
			}
		})
	}
}
