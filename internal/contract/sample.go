package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// sample is an example of a message as it is on the wire. Events and results are made by the same code that makes the
// real ones.
type sample struct {
	subject string
	headers map[string]string
	payload json.RawMessage
}

// ExampleCloud is the cloud of all examples, that of the demonstration.
const ExampleCloud = "demo"

const (
	exampleEventID   = "0198f2a5-7f00-7000-8000-000000000001"
	exampleCommandID = "0198f2a5-7f00-7000-8000-000000000002"
	exampleSource    = "urn:example:planning"
	exampleEntityID  = "00000000-0000-4000-8000-000000000001"
	WebOrigin        = "https://cloud.factro.com"
)

// ExampleTime is the time of all examples.
var ExampleTime = time.Date(2026, 9, 1, 9, 30, 0, 0, time.UTC)

// provenBody is the smallest body of a webhook that is proven, exampleResource what it is about.
const (
	ProvenBody      = `{"action":"TaskExecutorChanged","context":{"entityId":"` + exampleEntityID + `"}}`
	exampleResource = "task"
)

func eventSample(p events.Prefix) (sample, error) {
	e, err := translate.Webhook([]byte(ProvenBody), translate.Receipt{
		Cloud: ExampleCloud, Source: "urn:factro:cloud:" + ExampleCloud, At: ExampleTime, Origin: "webhook",
		NewID: func() string { return exampleEventID },
	})
	if err != nil {
		return sample{}, err
	}
	return sampleOf(p.Event(ExampleCloud, e.Resource, e.EntityID, e.Action), e.Event)
}

func commandSample(p events.Prefix, op factro.Operation) (sample, error) {
	e := event.New()
	e.SetID(exampleCommandID)
	e.SetSource(exampleSource)
	e.SetType(events.CommandTypePrefix + op.Name)
	if err := e.SetData(event.ApplicationJSON, op.Example()); err != nil {
		return sample{}, err
	}
	return sampleOf(p.Command(ExampleCloud, op.Resource, op.Name), e)
}

func resultSample(p events.Prefix, op factro.Operation) (sample, error) {
	call, err := translate.Command(op, op.Example())
	if err != nil {
		return sample{}, err
	}
	answer := op.ExampleAnswer()
	resource, mandantID := translate.Resource(op, call.EntityID, answer)
	resource.URL = factro.WebLink(WebOrigin, mandantID, resource.Type, resource.ID)
	finished := ExampleTime.Add(200 * time.Millisecond)
	cmd := exampleCommand(p, op.Resource, op.Name)
	e, err := translate.Result(cmd, events.Result{
		Operation: op.Name, Outcome: events.Applied, Status: http.StatusOK, Attempts: 1,
		StartedAt: ExampleTime, FinishedAt: &finished, Resource: resource, Response: answer,
	}, "", finished)
	if err != nil {
		return sample{}, err
	}
	return sampleOf(p.Result(ExampleCloud, op.Resource, op.Name, events.Applied), e)
}

// dryRunSample is the result of a dry run, with the planned call.
func dryRunSample(p events.Prefix, op factro.Operation) (sample, error) {
	call, err := translate.Command(op, op.Example())
	if err != nil {
		return sample{}, err
	}
	cmd := exampleCommand(p, op.Resource, op.Name)
	cmd.Event.SetExtension(attr.DryRun, true)
	planned := ordered.Object{{"method", call.Method}, {"path", call.Target}}
	if len(call.Body) > 0 {
		planned = append(planned, ordered.Member{"body", json.RawMessage(call.Body)})
	}
	finished := ExampleTime
	e, err := translate.Result(cmd, events.Result{
		Operation: op.Name, Outcome: events.Applied, StartedAt: ExampleTime, FinishedAt: &finished,
		Resource: &events.Resource{Type: op.Resource, ID: call.EntityID}, Response: mustJSON(planned),
	}, ".dryrun."+cmd.Position, finished)
	if err != nil {
		return sample{}, err
	}
	return sampleOf(p.Result(ExampleCloud, op.Resource, op.Name, events.Applied), e)
}

// exampleCommand is the command that the example results belong to.
func exampleCommand(p events.Prefix, resource, operation string) events.Command {
	cmd := events.Command{
		Address: events.Address{Cloud: ExampleCloud, Resource: resource, Operation: operation}, Event: event.New(),
		Position: p.CommandStream(ExampleCloud) + ":1",
	}
	cmd.Event.SetID(exampleCommandID)
	cmd.Event.SetSource(exampleSource)
	return cmd
}

// unknownResultSample is the result of a command whose operation is none.
func unknownResultSample(p events.Prefix, resource string) (sample, error) {
	const name = "makeTask"
	finished := ExampleTime
	cmd := exampleCommand(p, resource, name)
	e, err := translate.Result(cmd, events.Result{
		Operation: name, Outcome: events.Rejected, StartedAt: ExampleTime, FinishedAt: &finished,
		Error: &events.Error{Code: events.CodeUnknownOperation, Message: fmt.Sprintf("there is no operation %q; bridge contract operations lists them", name)},
	}, "."+cmd.Position, finished)
	if err != nil {
		return sample{}, err
	}
	return sampleOf(p.Result(ExampleCloud, resource, name, events.Rejected), e)
}

// sampleOf writes an event as the bridge does.
func sampleOf(subject string, e event.Event) (sample, error) {
	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return sample{}, fmt.Errorf("example of %s: %w", subject, err)
	}
	s := sample{subject: subject, headers: map[string]string{}, payload: msg.Data}
	for name := range msg.Header {
		s.headers[name] = strings.Join(msg.Header[name], "")
	}
	return s, nil
}

// redriveSample is a command that an operator sends once more.
func redriveSample(p events.Prefix, op factro.Operation) (sample, error) {
	s, err := commandSample(p, op)
	if err != nil {
		return sample{}, err
	}
	s.subject = p.Redrive(ExampleCloud, op.Resource, op.Name)
	s.headers[events.HeaderRedrive] = "17"
	return s, nil
}

// deadCommandSample is a command that factro refused.
func deadCommandSample(p events.Prefix, op factro.Operation) (sample, error) {
	s, err := commandSample(p, op)
	if err != nil {
		return sample{}, err
	}
	const refusal = "Task is closed"
	maps.Copy(s.headers, deadHeaders(events.CodeRefused, refusal))
	s.headers["Factro-Dead-Subject"] = s.subject
	s.headers["Factro-Dead-Position"] = p.CommandStream(ExampleCloud) + ":1"
	s.headers["Factro-Dead-Deliveries"] = "1"
	s.subject = p.DeadCommand(ExampleCloud, op.Resource, op.Name)
	return s, nil
}

// deadWebhookSample is the body of a webhook that is not JSON.
func deadWebhookSample(p events.Prefix) sample {
	const body = "action=TaskExecutorChanged"
	_, err := translate.Webhook([]byte(body), translate.Receipt{})
	return sample{subject: p.DeadWebhook(ExampleCloud), headers: deadHeaders("unusable", fmt.Sprint(err)), payload: json.RawMessage(body)}
}

func deadHeaders(code, reason string) map[string]string {
	return map[string]string{
		"Factro-Dead-Code": code, "Factro-Dead-Reason": percent.Encode(reason),
		"Factro-Dead-Time": ExampleTime.Format(time.RFC3339Nano),
	}
}
