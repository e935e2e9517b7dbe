package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// unknownTask is an id that factro does not know.
const unknownTask = "00000000-0000-4000-8000-00000000ffff"

// aTask makes a task at factro, waits until queries are answered, and returns the data of a query for the task.
func (s *site) aTask(t *testing.T, title string) string {
	t.Helper()
	s.natsCommand(t, "pub", "factro.command.demo.task.createTask", s.newTask(title), "-H", "Nats-Msg-Id:"+title)
	r := s.result(t, title)
	if r.Outcome != events.Applied || r.Resource == nil {
		t.Fatalf("got the result %+v", r)
	}
	waitFor(t, "the service for queries", func() bool {
		_, err := s.nc.Request("$SRV.PING.factro-query-demo", nil, time.Second)
		return err == nil
	})
	return `{"taskId":"` + r.Resource.ID + `"}`
}

// The stock nats command takes the queries for what they are, the endpoints of a NATS service: it lists, describes, asks
// and counts them.
func TestNatsCommandQueries(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	task := s.aTask(t, "Büroprüfung")

	wantAll(t, "nats micro ls", s.natsCommand(t, "micro", "ls"), "factro-query-demo")
	wantAll(t, "nats micro info", s.natsCommand(t, "micro", "info", "factro-query-demo"),
		"Name: getTask\n", "Subject: factro.query.demo.task.getTask\n", "path: /tasks/{taskId}\n")
	wantAll(t, "nats request", s.natsCommand(t, "request", "factro.query.demo.task.getTask", task), `"title":"Büroprüfung"`)
	wantAll(t, "nats request", s.natsCommand(t, "request", "factro.query.demo.task.getTask", `{"taskId":"`+unknownTask+`"}`),
		"Nats-Service-Error-Code: 404", `"code":"refused"`, unknownTask)

	// Of all endpoints only this one was asked: twice, once without success.
	stats := s.natsCommand(t, "micro", "stats", "factro-query-demo")
	for line := range strings.Lines(stats) {
		cells := strings.Split(line, "│")
		if len(cells) > 5 && strings.TrimSpace(cells[2]) == "getTask" {
			if requests, failed := strings.TrimSpace(cells[3]), strings.TrimSpace(cells[5]); requests != "2" || failed != "1" {
				t.Errorf("nats micro stats counts %s requests and %s errors, want 2 and 1", requests, failed)
			}
			return
		}
	}
	t.Errorf("nats micro stats does not show getTask:\n%s", stats)
}
