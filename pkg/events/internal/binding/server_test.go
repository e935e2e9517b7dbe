package binding_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	sdk "github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	protocoltest "github.com/cloudevents/sdk-go/v2/protocol/test"
	eventtest "github.com/cloudevents/sdk-go/v2/test"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// startJetStream runs a NATS server in the test, with a stream on "test.>".
func startJetStream(t testing.TB) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	_, js := natstest.Start(t).Connect(t)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TEST", Subjects: []string{"test.>"}})
	if err != nil {
		t.Fatal(err)
	}
	return js, stream
}

// wire is a protocol.Sender and a protocol.Receiver on one subject of a stream.
type wire struct {
	js       jetstream.JetStream
	consumer jetstream.Consumer
	subject  string
	encoder
}

var (
	_ protocol.Sender   = (*wire)(nil)
	_ protocol.Receiver = (*wire)(nil)
)

func newWire(t testing.TB, js jetstream.JetStream, stream jetstream.Stream, subject string, enc encoder) *wire {
	t.Helper()
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &wire{js, consumer, subject, enc}
}

func (w *wire) Send(ctx context.Context, in sdk.Message, transformers ...sdk.Transformer) (err error) {
	defer func() { _ = in.Finish(err) }()
	e, err := sdk.ToEvent(ctx, in, transformers...)
	if err != nil {
		return err
	}
	m, err := w.encode(w.subject, *e)
	if err != nil {
		return err
	}
	_, err = w.js.PublishMsg(ctx, m)
	return err
}

func (w *wire) Receive(ctx context.Context) (sdk.Message, error) {
	m, err := w.consumer.Next(jetstream.FetchContext(ctx))
	if err != nil {
		return nil, err
	}
	e, err := binding.FromMsg(m.Headers(), m.Data())
	if err != nil {
		return nil, fmt.Errorf("%w\n%q\n%q", err, m.Headers(), m.Data())
	}
	return sdk.WithFinish(sdk.ToMessage(&e), func(error) { _ = m.Ack() }), nil
}

// TestSendReceive sends the SDK's test events through a real server. Those of CloudEvents 0.3 arrive as 1.0, and
// extensions arrive in their canonical string form, but for booleans and integers in structured mode.
func TestSendReceive(t *testing.T) {
	t.Parallel()
	js, stream := startJetStream(t)
	for _, enc := range encoders {
		for _, e := range eventtest.Events() {
			subject := fmt.Sprintf("test.%s.%s", enc.name, e.ID())
			t.Run(subject, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				w := newWire(t, js, stream, subject, enc)
				want := e.Clone()
				want.Context = want.Context.AsV1()
				protocoltest.SendReceive(t, ctx, sdk.ToMessage(&e), w, w, func(out sdk.Message) {
					got := eventtest.MustToEvent(t, ctx, out)
					eventtest.AssertEventEquals(t, eventtest.ConvertEventExtensionsToString(t, want),
						eventtest.ConvertEventExtensionsToString(t, got))
				})
			})
		}
	}
}

// TestNastyValues sends values through a real server that would break a header if they were written as they are.
func TestNastyValues(t *testing.T) {
	t.Parallel()
	js, stream := startJetStream(t)
	for _, enc := range encoders {
		w := newWire(t, js, stream, "test."+enc.name, enc)
		for _, value := range nasty {
			sent := taskEvent(t)
			c := sent.Context.(*event.EventContextV1)
			c.ID, c.Type, c.Subject = "id"+value, "type"+value, new("subject"+value)
			c.Extensions["note"], c.Extensions["empty"] = value, ""
			if enc.name == "binary" {
				sent.DataEncoded = []byte("\x00\xff" + value + "\r\n")
			}
			want := sent.Clone()
			if err := w.Send(t.Context(), sdk.ToMessage(&sent)); err != nil {
				t.Fatal(err)
			}
			m, err := w.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, eventtest.MustToEvent(t, t.Context(), m), want)
			if err := m.Finish(nil); err != nil {
				t.Error(err)
			}
		}
	}
}
