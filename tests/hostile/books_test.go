package hostile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// result is a final result.
type result struct {
	outcome events.Outcome
	data    []byte
	at      time.Time
}

// books hold what was promised, and the outcomes.
type books struct {
	w *world

	mu       sync.Mutex
	promised map[string]map[string]bool // by cloud, the ids of webhooks that were answered 2xx
	expected map[string]command         // commands that the broker acknowledged
	results  map[string]result          // final results as they were published, by cloud, causation and its source
}

func newBooks(w *world) *books {
	b := &books{w: w, promised: map[string]map[string]bool{}, expected: map[string]command{}, results: map[string]result{}}
	sub, err := w.nc.Subscribe(string(prefix)+".result.>", b.hear)
	must(w.t, err)
	must(w.t, sub.SetPendingLimits(-1, -1))
	return b
}

func (b *books) promise(cloud, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.promised[cloud] == nil {
		b.promised[cloud] = map[string]bool{}
	}
	b.promised[cloud][id] = true
}

func (b *books) expect(c command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected[c.key()] = c
}

// resultKeys are what the result of a message answers to: results name the source of their command if there is one and the
// bridge tells it.
func resultKeys(subject string, header nats.Header) (key string, outcome events.Outcome) {
	tokens := strings.Split(subject, ".") // factro.result.<cloud>.<resource>.<operation>.<outcome>
	if len(tokens) != 6 {
		return "", ""
	}
	get := func(name string) string {
		v, err := events.DecodeHeader(header.Get("ce-" + name))
		if err != nil {
			return header.Get("ce-" + name)
		}
		return v
	}
	return tokens[2] + " " + get(attr.CausationID) + " " + get("causationsource"), events.Outcome(tokens[5])
}

func (b *books) hear(msg *nats.Msg) {
	key, outcome := resultKeys(msg.Subject, msg.Header)
	if key == "" || !outcome.Final() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, twice := b.results[key]; !twice {
		b.results[key] = result{outcome, msg.Data, time.Now()}
	}
}

// resultOf is the final result of a command, if it has been published.
func (b *books) resultOf(c command) (result, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return lookup(b.results, c)
}

func lookup[V any](results map[string]V, c command) (V, bool) {
	if r, ok := results[c.key()]; ok {
		return r, true
	}
	r, ok := results[c.cloud+" "+c.id+" "] // a bridge that does not name the source
	return r, ok
}

// missing reads the streams and says what was promised and is not there.
func (b *books) missing(ctx context.Context) error {
	b.mu.Lock()
	promised, expected := map[string][]string{}, make([]command, 0, len(b.expected))
	for cloud, ids := range b.promised {
		for id := range ids {
			promised[cloud] = append(promised[cloud], id)
		}
	}
	for _, c := range b.expected {
		expected = append(expected, c)
	}
	b.mu.Unlock()
	var errs []error
	for cloud, ids := range promised {
		stored, err := b.events(ctx, cloud)
		errs = append(errs, err)
		for _, id := range ids {
			if err == nil && !stored[id] {
				errs = append(errs, fmt.Errorf("webhook %s of %s was answered 2xx and is not in the stream", id, cloud))
			}
		}
	}
	results := map[string]events.Outcome{}
	for _, cloud := range []string{acme, beta} {
		errs = append(errs, b.w.each(ctx, string(prefix)+".result."+cloud+".>", func(subject string, header nats.Header) {
			if key, outcome := resultKeys(subject, header); outcome.Final() {
				results[key] = outcome
			}
		}))
	}
	for _, c := range expected {
		if _, ok := lookup(results, c); !ok {
			errs = append(errs, fmt.Errorf("command %q of %s was acknowledged and has no result", c.id, c.cloud))
		}
	}
	if len(errs) > 10 {
		errs = append(errs[:10], fmt.Errorf("and %d more", len(errs)-10))
	}
	return errors.Join(errs...)
}

func (b *books) events(ctx context.Context, cloud string) (ids map[string]bool, err error) {
	ids = map[string]bool{}
	err = b.w.each(ctx, string(prefix)+".event."+cloud+".>", func(_ string, header nats.Header) {
		ids[header.Get("ce-id")] = true
	})
	return ids, err
}

// each reads the headers of all messages that a stream holds of a subject.
func (w *world) each(ctx context.Context, subject string, take func(subject string, header nats.Header)) error {
	name, err := w.streamOf(subject)
	if err != nil {
		return err
	}
	c, err := w.js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true,
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for left := int(info.NumPending); left > 0; {
		batch, err := c.Fetch(min(left, 1000), jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for msg := range batch.Messages() {
			take(msg.Subject(), msg.Headers())
			left--
		}
		if err := errors.Join(batch.Error(), ctx.Err()); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	return nil
}
