package events_test

import (
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func ExampleToMsg() {
	e := event.New()
	e.SetID("4711")
	e.SetSource("urn:factro:cloud:acme")
	e.SetType("com.factro.TaskCreated")
	e.SetSubject("task/Müller")
	e.SetDataContentType("application/json")
	e.DataEncoded = []byte(`{"action":"TaskCreated"}`)

	m, err := events.ToMsg(events.Prefix("factro").Event("acme", "task", "8d3f6c1e", "TaskCreated"), e)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Subject)
	fmt.Println(m.Header.Get("ce-id"), m.Header.Get("ce-subject"), m.Header.Get("ce-datacontenttype"))
	fmt.Printf("%s\n", m.Data)
	// Output:
	// factro.event.acme.task.8d3f6c1e.TaskCreated
	// 4711 task/M%C3%BCller application/json
	// {"action":"TaskCreated"}
}

func ExampleFromMsg() {
	m := nats.NewMsg("factro.event.acme.task.8d3f6c1e.TaskCreated")
	m.Header.Set("ce-specversion", "1.0")
	m.Header.Set("ce-id", "4711")
	m.Header.Set("ce-source", "urn:factro:cloud:acme")
	m.Header.Set("ce-type", "com.factro.TaskCreated")
	m.Header.Set("ce-subject", "task/M%C3%BCller")
	m.Header.Set("ce-datacontenttype", "application/json")
	m.Data = []byte(`{"action":"TaskCreated"}`)

	e, err := events.FromMsg(m.Header, m.Data)
	fmt.Println(e.Type(), e.Subject(), err)

	m.Header.Set("ce-time", "today")
	_, err = events.FromMsg(m.Header, m.Data)
	fmt.Println(err)
	// Output:
	// com.factro.TaskCreated task/Müller <nil>
	// decode message: header ce-time is "today", want RFC 3339 such as 2026-01-31T09:30:00Z
}

func ExamplePrefix() {
	p := events.Prefix("factro")
	fmt.Println(p.Event("acme", "work-record", "8d3f6c1e", "WorkRecordCreated"))
	fmt.Println(p.Command("acme", "task", "createTask"))
	fmt.Println(p.Result("acme", "task", "createTask", events.Applied), "in", p.ResultStream("acme"))
	// Output:
	// factro.event.acme.work-record.8d3f6c1e.WorkRecordCreated
	// factro.command.acme.task.createTask
	// factro.result.acme.task.createTask.applied in FACTRO_RESULTS_ACME
}
