package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

const cloud = "demo"

// traces are the ids of the traces of a webhook and of a command.
type traces struct{ webhook, command string }

// roundTrip has the simulated factro send a webhook, and sends a command that makes a task. Aloud it says what came.
func roundTrip(ctx context.Context, aloud bool) (traces, error) {
	nc, err := nats.Connect(natsURL, nats.RetryOnFailedConnect(true), nats.Timeout(5*time.Second))
	if err != nil {
		return traces{}, fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return traces{}, fmt.Errorf("connect to NATS: %w", err)
	}
	p := events.Prefix(events.DefaultPrefix)

	entity := uuid.NewString()
	status, body, err := do(ctx, http.MethodPost, simulator+"/_sim/fire",
		strings.NewReader(`{"action":"TaskCreated","entityId":"`+entity+`"}`))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the simulator answers %d: %s", status, body)
	}
	if err != nil {
		return traces{}, fmt.Errorf("webhook: %w", err)
	}
	msg, err := stored(ctx, js, p.EventStream(cloud), p.EventFilter(cloud, events.Any, entity, "TaskCreated"), "")
	if err != nil {
		return traces{}, fmt.Errorf("webhook: %w; the simulator's tries: %s", err, tries(ctx, entity))
	}
	if aloud {
		fmt.Println("webhook: the event is at", msg.Subject)
	}
	seen := traces{webhook: traceOf(msg)}

	if _, body, err = get(ctx, simulator+"/_sim/demo"); err != nil {
		return traces{}, err
	}
	var demo struct{ Package string }
	if err := json.Unmarshal(body, &demo); err != nil {
		return traces{}, fmt.Errorf("the simulator's demo tenant: %w", err)
	}
	id := uuid.New()
	seen.command = hex.EncodeToString(id[:])
	command := nats.NewMsg(p.Command(cloud, "task", "createTask"))
	command.Data = []byte(`{"title":"Prüfung","targetParentId":"` + demo.Package + `"}`)
	command.Header.Set(events.HeaderMessageID, id.String())
	command.Header.Set(attr.TraceParent, "00-"+seen.command+"-b7ad6b7169203331-01")
	// While a stream chooses another leader nobody answers. With its id the command is stored once, however often.
	_, err = js.PublishMsg(ctx, command, jetstream.WithRetryAttempts(40), jetstream.WithRetryWait(500*time.Millisecond))
	if err == nil {
		msg, err = stored(ctx, js, p.ResultStream(cloud), p.ResultFilter(cloud, "task", "createTask", events.Any), id.String())
	}
	switch {
	case err != nil:
		return traces{}, fmt.Errorf("command: %w", err)
	case !strings.HasSuffix(msg.Subject, ".applied"):
		return traces{}, fmt.Errorf("command: the result is at %s: %s", msg.Subject, msg.Data)
	case traceOf(msg) != seen.command:
		return traces{}, fmt.Errorf("command: the result is in the trace %s and not in its sender's, %s", traceOf(msg), seen.command)
	}
	if aloud {
		fmt.Println("command: the result is at", msg.Subject)
	}
	return seen, nil
}

// stored waits until a stream has a message at a subject, of the given command if it is not empty. It reads the stream and
// does not listen at the subject: there a message is heard before a server has it, and again whenever it is sent again.
func stored(ctx context.Context, js jetstream.JetStream, stream, subject, command string) (*jetstream.RawStreamMsg, error) {
	var found *jetstream.RawStreamMsg
	var last error
	next := uint64(1)
	err := until(ctx, "a message at "+subject, 100*time.Millisecond, func() bool {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a stream without a leader does not answer
		defer cancel()
		s, err := js.Stream(ctx, stream)
		for err == nil {
			var msg *jetstream.RawStreamMsg
			if msg, err = s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject)); err != nil {
				break
			}
			if command == "" || msg.Header.Get("ce-"+attr.CausationID) == command {
				found = msg
				return true
			}
			next = msg.Sequence + 1
		}
		last = err
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, last)
	}
	return found, nil
}

// tries is what the simulator reports about its attempts to deliver a webhook.
func tries(ctx context.Context, entity string) string {
	_, body, err := get(ctx, simulator+"/_sim/deliveries")
	if err != nil {
		return err.Error()
	}
	var all []struct {
		EntityID, Error string
		Status          int
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return err.Error()
	}
	var texts []string
	for _, try := range all {
		if try.EntityID == entity {
			texts = append(texts, strings.TrimSpace(fmt.Sprintf("%d %s", try.Status, try.Error)))
		}
	}
	return strings.Join(texts, ", ")
}

// traceOf is the trace's id in a message's header.
func traceOf(m *jetstream.RawStreamMsg) string {
	parts := strings.Split(m.Header.Get(attr.TraceParent), "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}

// traced looks for the two traces in Jaeger, with the spans that tell the way.
func traced(ctx context.Context, t traces) error {
	for _, want := range []struct {
		what, id string
		spans    []string
	}{
		{"webhook", t.webhook, []string{"POST /webhooks/{cloud}", "publish factro.event." + cloud}},
		{"command", t.command, []string{"process factro.command." + cloud, "POST /tasks", "publish factro.result." + cloud}},
	} {
		var found []string
		err := until(ctx, "the trace of the "+want.what, 200*time.Millisecond, func() bool {
			found = spans(ctx, want.id)
			return !slices.ContainsFunc(want.spans, func(name string) bool { return !slices.Contains(found, name) })
		})
		if err != nil {
			return fmt.Errorf("%w: %s has %q and should have %q", err, want.id, found, want.spans)
		}
		fmt.Printf("trace of the %s: %s has %q\n", want.what, want.id, found)
	}
	return nil
}

// spans are the names of a trace's spans, none if Jaeger does not have it yet.
func spans(ctx context.Context, id string) []string {
	status, body, err := get(ctx, jaeger+"/api/traces/"+id)
	if err != nil || status != http.StatusOK {
		return nil
	}
	var answer struct {
		Data []struct {
			Spans []struct{ OperationName string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil
	}
	var names []string
	for _, trace := range answer.Data {
		for _, s := range trace.Spans {
			names = append(names, s.OperationName)
		}
	}
	return names
}
