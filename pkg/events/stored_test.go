package events_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// noConsumers fails the test if a program asks for a consumer.
func (r *relay) noConsumers(t *testing.T) {
	t.Helper()
	for len(r.seen) > 0 {
		if subject := <-r.seen; strings.Contains(subject, ".CONSUMER.") {
			t.Errorf("the program asks for %s", subject)
		}
	}
}

// plain takes direct get away from the streams of the contract and of answers, as of an operator who has made them so.
func (b *broker) plain(t *testing.T) {
	t.Helper()
	for _, name := range []string{prefix.ResultStream("acme"), "OBJ_" + prefix.AnswerBucket("acme")} {
		s, err := b.js.Stream(t.Context(), name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.AllowDirect = false
		if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
}

// readings are how a stream can be read without a consumer.
var readings = map[string]bool{"direct get": true, "by the leader": false}

// TestResultWithoutConsumer: a result whose copy was lost is found without a consumer.
func TestResultWithoutConsumer(t *testing.T) {
	t.Parallel()
	for name, direct := range readings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, f := client(t, func(cmd events.Command) []events.Result {
				return []events.Result{throttled, applied(map[string]string{"id": cmd.Event.ID()})}
			})
			f.loseCopies = true
			if !direct {
				f.b.plain(t)
			}
			relayed := f.b.relay(t)
			c := events.NewClient(relayed.b.js, "acme")
			c.SetPatience(time.Millisecond)
			for _, id := range []string{"a", "b", "c", "a", "b"} {
				deferred := 0
				r, err := c.Do(t.Context(), setState, events.WithID(id), events.OnDeferred(func(events.Result) { deferred++ }))
				if err != nil || string(r.Response) != `{"id":"`+id+`"}` || deferred != 1 {
					t.Errorf("%s: got %+v after %d deferrals, %v", id, r, deferred, err)
				}
			}
			if n := len(f.commands()); n != 3 {
				t.Errorf("%d commands, want 3", n)
			}
			relayed.noConsumers(t)
		})
	}
}

// TestResultUnderFalseHeaders: what a sender says in the broker's words about its own message counts for nothing.
func TestResultUnderFalseHeaders(t *testing.T) {
	t.Parallel()
	commands := make(chan events.Command, 1)
	_, f := client(t, func(cmd events.Command) []events.Result {
		commands <- cmd
		return nil
	})
	relayed := f.b.relay(t)
	c := events.NewClient(relayed.b.js, "acme")
	c.SetPatience(time.Millisecond)
	done := make(chan error, 1)
	go func() {
		_, err := c.Do(t.Context(), setState)
		done <- err
	}()
	relayed.until("$JS.API.DIRECT.GET.")
	cmd := <-commands
	// First one of another command, after which the stream would be read far behind its end; then the one that is waited for,
	// which calls itself one of another cloud.
	for _, other := range []bool{true, false} {
		c := cmd
		if c.Event = cmd.Event.Clone(); other {
			c.Event.SetID("other")
		}
		msg, err := resultMsg(c, events.Result{Operation: "setTaskState", Outcome: events.Applied})
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Nats-Sequence": "99999", "Nats-Subject": "factro.result.beta.task.setTaskState.applied", "Nats-Stream": "OTHER", "Status": "404",
		} {
			msg.Header[name] = []string{value}
		}
		if _, err := f.b.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		if other { // it is read alone, and what comes then is asked for
			relayed.until("$JS.API.DIRECT.GET.")
			relayed.until("$JS.API.DIRECT.GET.")
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAnswerWithoutConsumer: a large answer is read without a consumer, and what is not as it was stored is an error.
func TestAnswerWithoutConsumer(t *testing.T) {
	t.Parallel()
	for name, direct := range readings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t)
			bucket := prefix.AnswerBucket("acme")
			store, err := b.js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: bucket})
			if err != nil {
				t.Fatal(err)
			}
			want := make([]byte, 5<<20+1)
			if _, err := rand.Read(want); err != nil {
				t.Fatal(err)
			}
			objects := map[string]*jetstream.ObjectInfo{}
			for name, content := range map[string][]byte{"big": want, "empty": nil, "short": want, "changed": want, "gone": want, "deleted": want} {
				if objects[name], err = store.PutBytes(t.Context(), name, content); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := store.AddLink(t.Context(), "link", objects["big"]); err != nil {
				t.Fatal(err)
			}
			if err := store.Delete(t.Context(), "deleted"); err != nil {
				t.Fatal(err)
			}
			stream, err := b.js.Stream(t.Context(), "OBJ_"+bucket)
			if err != nil {
				t.Fatal(err)
			}
			chunks := func(name string) string { return "$O." + bucket + ".C." + objects[name].NUID }
			m, err := stream.GetLastMsgForSubject(t.Context(), chunks("short"))
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.DeleteMsg(t.Context(), m.Sequence); err != nil {
				t.Fatal(err)
			}
			if m, err = stream.GetLastMsgForSubject(t.Context(), chunks("changed")); err != nil {
				t.Fatal(err)
			}
			if err := stream.DeleteMsg(t.Context(), m.Sequence); err != nil {
				t.Fatal(err)
			}
			m.Data[0]++
			if _, err := b.js.Publish(t.Context(), chunks("changed"), m.Data); err != nil {
				t.Fatal(err)
			}
			if !direct {
				b.plain(t)
			}
			relayed := b.relay(t)
			var object string
			if err := answerer(b, func(*nats.Msg) *nats.Msg {
				body, err := json.Marshal(map[string]any{"object": events.ObjectRef{Bucket: bucket, Name: object}})
				if err != nil {
					t.Error(err)
				}
				return &nats.Msg{Header: nats.Header{events.HeaderObject: {bucket + "/" + object}}, Data: body}
			}); err != nil {
				t.Fatal(err)
			}
			for name, mistake := range map[string]string{
				"big": "", "empty": "", "short": "read the answer", "changed": "digest", "link": "a link", "never": "object not found",
				"deleted": "object not found",
			} {
				if !direct && name != "big" && name != "short" { // each takes two seconds there, the time of a direct get
					continue
				}
				t.Run(name, func(t *testing.T) { // one after the other: all are answered on one subject
					object = name
					answer, err := events.NewClient(relayed.b.js, "acme").Query(t.Context(), getTask)
					var got []byte
					if err == nil {
						got, err = io.ReadAll(answer)
						err = errors.Join(err, answer.Close())
					}
					if mistake != "" {
						if !contains(err, mistake) {
							t.Errorf("got %d bytes, %v; want %q", len(got), err, mistake)
						}
						return
					}
					if err != nil || !bytes.Equal(got, want[:len(want)*int(min(objects[name].Size, 1))]) {
						t.Errorf("got %d bytes, %v", len(got), err)
					}
				})
			}
			relayed.noConsumers(t)
		})
	}
}

// TestPrepared: a subscription takes the consumer that somebody has made, and says clearly that there is none.
func TestPrepared(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	if err := events.Subscribe(t.Context(), b.js, "factro.event.acme.>", nil, events.Prepared("billing")); !contains(err, "make the consumer first") {
		t.Errorf("without a consumer: got %v", err)
	}
	if _, err := b.js.CreateConsumer(t.Context(), prefix.EventStream("acme"), jetstream.ConsumerConfig{
		Durable: "billing", FilterSubject: "factro.event.acme.>", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1,
	}); err != nil {
		t.Fatal(err)
	}
	relayed := b.relay(t)
	for _, id := range []string{"1", "2"} {
		b.publish(t, "factro.event.acme.task."+id+".TaskCreated", id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err := events.Subscribe(ctx, relayed.b.js, "factro.event.acme.>", func(_ context.Context, e events.Event) error {
		if got = append(got, e.CloudEvent.ID()); len(got) == 2 {
			cancel()
		}
		return nil
	}, events.Prepared("billing"))
	if err != nil || strings.Join(got, " ") != "1 2" {
		t.Errorf("got %v, %v", got, err)
	}
	for len(relayed.seen) > 0 {
		subject := <-relayed.seen
		if !strings.HasPrefix(subject, "$JS.API.CONSUMER.INFO.") && !strings.HasPrefix(subject, "$JS.API.CONSUMER.MSG.NEXT.") {
			t.Errorf("the program asks for %s", subject)
		}
	}
	err = events.Subscribe(t.Context(), b.js, "factro.event.acme.task.>", nil, events.Prepared("billing"))
	if !contains(err, "the durable consumer differs") {
		t.Errorf("with another filter: got %v", err)
	}
}
