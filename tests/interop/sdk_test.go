package interop

import (
	"context"
	"testing"

	cloudeventsnats "github.com/cloudevents/sdk-go/protocol/nats_jetstream/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	eventtest "github.com/cloudevents/sdk-go/v2/test"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// sdkReads returns the first events of a subject as the SDK's NATS module reads them.
func sdkReads(t *testing.T, s *site, subject string, count int) []event.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := cloudeventsnats.NewConsumer(s.nats, prefix.EventStream("demo"), subject, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.OpenInbound(ctx) }()
	var got []event.Event
	for range count {
		m, err := c.Receive(ctx)
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(got), count, err)
		}
		e, err := binding.ToEvent(ctx, m)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, *e)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return got
}

// Where all values are printable ASCII, the SDK's NATS module reads from our events what our codec does: every
// attribute, every extension, and the data byte for byte.
//
// That is all it can show. The module knows neither percent-encoding (see the next test) nor the content type of
// structured mode, uses the old API of JetStream, and does not confirm what it received.
func TestSDKReadsEvents(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	bodies := map[string]string{
		"wide":   `{"id":"d-1","action":"TaskStateChanged","createdAt":"2026-01-02T03:04:05.678Z","context":{"entityId":"wide","note":"Prüfung"}}`,
		"narrow": `{ "action": "TaskCreated",  "context": {"entityId": "narrow"} }`,
	}
	for id, body := range bodies {
		s.deliver(t, body)
		subject := "factro.event.demo.task." + id + ".*"
		got := sdkReads(t, s, subject, 1)[0]

		stored := s.stored(t, prefix.EventStream("demo"), subject)
		want, err := events.FromMsg(stored.Header, stored.Data)
		if err != nil {
			t.Fatal(err)
		}
		eventtest.AssertEventEquals(t, want, got)
		if string(got.Data()) != body {
			t.Errorf("the data is %s, want %s", got.Data(), body)
		}
		for _, name := range []string{
			attr.TraceParent, attr.RecordedTime, attr.Action, attr.Cloud, attr.Origin,
		} {
			if got.Extensions()[name] == nil {
				t.Errorf("%s: the extension %s did not arrive", id, name)
			}
		}
		if got.DataContentType() != event.ApplicationJSON || got.Subject() != "task/"+id || got.Time().IsZero() {
			t.Errorf("%s: the event is\n%s", id, got)
		}
	}
}

// The SDK's NATS module does not undo the percent-encoding that the binding demands: what is not ASCII stays encoded
// there. A program that uses it has to decode such attributes itself. If this test fails, the module has learnt it.
func TestSDKLeavesEncodedWhatIsNotASCII(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	s.deliver(t, `{"action":"TaskGeprüft","context":{"entityId":"Büro 7"}}`)
	const subject = "factro.event.demo.task._._"
	got := sdkReads(t, s, subject, 1)[0]
	stored := s.stored(t, prefix.EventStream("demo"), subject)
	ours, err := events.FromMsg(stored.Header, stored.Data)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string]struct{ ours, theirs, decoded, encoded string }{
		"type":    {ours.Type(), got.Type(), "com.factro.TaskGeprüft", "com.factro.TaskGepr%C3%BCft"},
		"subject": {ours.Subject(), got.Subject(), "task/Büro 7", "task/B%C3%BCro%207"},
	} {
		if values.ours != values.decoded || values.theirs != values.encoded {
			t.Errorf("%s: we read %q, want %q; the SDK reads %q, want %q", name, values.ours, values.decoded, values.theirs, values.encoded)
		}
	}
}

// The bridge understands commands that the SDK's NATS module sends, in both of its modes. Its structured mode lacks the
// header Content-Type. The data may hold anything: it is the payload and no header.
func TestSDKSendsCommands(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	sender, err := cloudeventsnats.NewSender(s.nats, prefix.CommandStream("demo"), "factro.command.demo.task.createTask", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sender.Close(t.Context()) }()
	for mode, ctx := range map[string]context.Context{
		"binary":     binding.WithForceBinary(t.Context()),
		"structured": binding.WithForceStructured(t.Context()),
	} {
		title := "Prüfung " + mode
		e := event.New()
		e.SetID(mode)
		e.SetSource("urn:example:sdk")
		e.SetType(events.CommandTypePrefix + "createTask")
		if err := e.SetData(event.ApplicationJSON, []byte(s.newTask(title))); err != nil {
			t.Fatal(err)
		}
		if err := sender.Send(ctx, binding.ToMessage(&e)); err != nil {
			t.Fatal(err)
		}
		if r := s.result(t, mode); r.Outcome != events.Applied || s.tasks(title) != 1 {
			t.Errorf("%s: factro has %d tasks, the result is %+v", mode, s.tasks(title), r)
		}
	}
}
