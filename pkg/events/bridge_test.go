package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// fakeBridge plays the bridge's side of the contract, built on this package's own names: it takes commands from the
// queue and stores the results that its script says. It cannot show that the real bridge does the same, nor what factro
// answers; the tests of the whole bridge do that.
type fakeBridge struct {
	b *broker
	// work tells the results of a command, in their order.
	work func(events.Command) []events.Result
	// loseCopies has it send no copies to the senders, as if they were lost.
	loseCopies bool
	// older has its results tell the id of their command only, as those of earlier bridges.
	older bool
	// noDigest has its results tell no digest of the data, as those of bridges before contract 3.0.
	noDigest bool

	mu   sync.Mutex
	seen []events.Command
	nc   *nats.Conn
}

// play begins to work, until the test ends.
func (f *fakeBridge) play(t testing.TB) {
	t.Helper()
	nc, js := f.b.connect(t)
	consumer, err := js.CreateOrUpdateConsumer(t.Context(), prefix.CommandStream("acme"), jetstream.ConsumerConfig{
		Durable: "bridge", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.nc = nc
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		if err := f.handle(js, msg); err == nil {
			_ = msg.Ack()
		}
	}, jetstream.PullMaxMessages(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		consuming.Stop()
		<-consuming.Closed()
		nc.Close()
	})
}

func (f *fakeBridge) handle(js jetstream.JetStream, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	cmd, err := prefix.DecodeCommand(msg.Subject(), msg.Headers(), msg.Data(), fmt.Sprint(meta.Stream, ":", meta.Sequence.Stream))
	if err != nil {
		panic(err) // the client sent what is none
	}
	f.mu.Lock()
	f.seen = append(f.seen, cmd)
	f.mu.Unlock()
	for i, r := range f.work(cmd) {
		r.Operation = cmd.Operation
		if !f.noDigest {
			r.CommandDigest = identity.CommandDigest(cmd.Event.Data())
		}
		out, err := resultMsg(cmd, r)
		if err != nil {
			return err
		}
		if f.older {
			delete(out.Header, "ce-"+attr.CausationSource)
			delete(out.Header, "ce-"+attr.CausationPosition)
		}
		for !f.nc.IsClosed() { // the broker may be away
			if _, err := js.PublishMsg(context.Background(), out, jetstream.WithMsgID(fmt.Sprint(meta.Sequence.Stream, ".", i))); err == nil {
				break
			}
		}
		if cmd.ReplyTo != "" && !f.loseCopies {
			_ = f.nc.PublishMsg(&nats.Msg{Subject: cmd.ReplyTo, Header: out.Header, Data: out.Data})
		}
	}
	return nil
}

func (f *fakeBridge) commands() []events.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]events.Command(nil), f.seen...)
}

// resultMsg makes the message of a result, as the bridge does.
func resultMsg(cmd events.Command, r events.Result) (*nats.Msg, error) {
	e := event.New()
	e.SetID(cmd.Event.ID() + "." + string(r.Outcome))
	e.SetSource("urn:factro:bridge:" + cmd.Cloud)
	e.SetType(events.ResultTypePrefix + string(r.Outcome))
	e.SetTime(time.Now())
	e.SetExtension(attr.CausationID, cmd.Event.ID())
	e.SetExtension(attr.CausationPosition, cmd.Position)
	if source := cmd.Source(); source != "" {
		e.SetExtension(attr.CausationSource, source)
	}
	if dry := cmd.Event.Extensions()[attr.DryRun]; dry != nil {
		e.SetExtension(attr.DryRun, true)
	}
	if err := e.SetData(event.ApplicationJSON, r); err != nil {
		return nil, err
	}
	return events.ToMsg(prefix.Result(cmd.Cloud, cmd.Resource, cmd.Operation, r.Outcome), e)
}

// applied is the result of a command that was carried out, with factro's answer.
func applied(answer any) events.Result {
	response, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return events.Result{Outcome: events.Applied, Status: 200, Attempts: 1, Response: response}
}

// always is a script that has the same results for every command.
func always(results ...events.Result) func(events.Command) []events.Result {
	return func(events.Command) []events.Result { return results }
}

// webhook is an event out of factro about a task, with the smallest body that is proven.
func webhook(action, id string) event.Event {
	e := event.New()
	e.SetID(action + "." + id)
	e.SetSource("urn:factro:cloud:acme")
	e.SetType(events.EventTypePrefix + action)
	e.SetSubject("task/" + id)
	e.SetExtension(attr.Action, action)
	e.SetDataContentType(event.ApplicationJSON)
	e.DataEncoded = fmt.Appendf(nil, `{"action":%q,"context":{"entityId":%q}}`, action, id)
	return e
}
