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
	msg, err := answered(ctx, nc, p.EventFilter(cloud, events.Any, entity, "TaskCreated"), func() error {
		status, body, err := do(ctx, http.MethodPost, simulator+"/_sim/fire",
			strings.NewReader(`{"action":"TaskCreated","entityId":"`+entity+`"}`))
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("the simulator answers %d: %s", status, body)
		}
		return err
	})
	if err != nil {
		return traces{}, fmt.Errorf("webhook: %w", err)
	}
	if aloud {
		fmt.Println("webhook: the event is at", msg.Subject)
	}
	seen := traces{webhook: traceOf(msg)}

	_, body, err := get(ctx, simulator+"/_sim/demo")
	if err != nil {
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
	command.Header.Set(events.HeaderMessageID, uuid.NewString())
	command.Header.Set(events.ExtTraceParent, "00-"+seen.command+"-b7ad6b7169203331-01")
	msg, err = answered(ctx, nc, p.ResultFilter(cloud, "task", "createTask", events.Any), func() error {
		// While a stream chooses another leader nobody answers. With its id the command is stored once, however often.
		_, err := js.PublishMsg(ctx, command, jetstream.WithRetryAttempts(40), jetstream.WithRetryWait(500*time.Millisecond))
		return err
	})
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

// answered listens at a subject, asks, and returns what comes.
func answered(ctx context.Context, nc *nats.Conn, subject string, ask func() error) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sub, err := nc.SubscribeSync(subject) // until the connection ends, which is soon
	if err != nil {
		return nil, err
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		return nil, fmt.Errorf("reach NATS: %w", err)
	}
	if err := ask(); err != nil {
		return nil, err
	}
	msg, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("wait at %s: %w", subject, err)
	}
	return msg, nil
}

// traceOf is the trace's id in a message's header.
func traceOf(m *nats.Msg) string {
	parts := strings.Split(m.Header.Get(events.ExtTraceParent), "-")
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
