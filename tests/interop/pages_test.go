package interop

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// The pages' programs read our events in binary mode, umlauts and all, and those that our codec writes in structured mode. The
// consumer is durable: the next start goes on where the last one ended.
func TestPageReceivesEvents(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := startSite(t)
		p := s.page(t, l)
		s.deliver(t, `{"action":"TaskGeprüft","createdAt":"2026-01-02T03:04:05.678Z","context":{"entityId":"Büro 100 % \"Süd\"","note":"schön"}}`)
		stored := s.stored(t, prefix.EventStream("demo"), "factro.event.demo.task._._")
		want, err := events.FromMsg(stored.Header, stored.Data)
		if err != nil {
			t.Fatal(err)
		}
		if want.Subject() != `task/Büro 100 % "Süd"` {
			t.Fatalf("the event is not the one that is meant:\n%s", want)
		}
		first := p.launch(t, "subscribe", cloud, "reader")
		if got := withoutFraction(first.next(t)); !reflect.DeepEqual(got, withoutFraction(asObject(t, want))) {
			t.Errorf("binary mode:\ngot  %v\nwant %v", got, asObject(t, want))
		}
		s.acknowledged(t, "reader", 1)
		if rest := first.stop(t); len(rest) > 0 {
			t.Errorf("got more: %s", rest)
		}

		want.SetID("another")
		msg, err := events.ToStructuredMsg("factro.event.demo.task.structured.Copy", want)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		second := p.launch(t, "subscribe", cloud, "reader")
		if got := withoutFraction(second.next(t)); !reflect.DeepEqual(got, withoutFraction(asObject(t, want))) {
			t.Errorf("structured mode:\ngot  %v\nwant %v", got, asObject(t, want))
		}
		s.acknowledged(t, "reader", 2)
		if rest := second.stop(t); len(rest) > 0 {
			t.Errorf("got more: %s", rest)
		}
	})
}

// withoutFraction cuts the times of an event to seconds: JavaScript keeps milliseconds, Go writes what there is.
func withoutFraction(event map[string]any) map[string]any {
	for name, value := range event {
		if text, ok := value.(string); ok && strings.HasSuffix(name, "time") {
			if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
				event[name] = at.Truncate(time.Second).Format(time.RFC3339)
			}
		}
	}
	return event
}

// acknowledged waits until a durable consumer has the acknowledgement of the first events.
func (s *site) acknowledged(t *testing.T, durable string, events uint64) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d acknowledgements by %s", events, durable), func() bool {
		c, err := s.js.Consumer(t.Context(), prefix.EventStream("demo"), durable)
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().AckFloor.Consumer >= events
	})
}

// The pages' programs send a command once, however often they are started, and print its outcome.
func TestPageSendsCommands(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := startSite(t)
		p := s.page(t, l)
		title := `Prüfung 100 % "Süd"`
		first := p.applied(t, "command", cloud, "task.createTask", s.newTask(title), "größe 1")
		if response, _ := first["response"].(map[string]any); response["title"] != title {
			t.Errorf("got the result %v", first)
		}
		// No second copy comes for what the stream does not take: the result is found in its stream.
		if again := p.applied(t, "command", cloud, "task.createTask", s.newTask(title), "größe 1"); !reflect.DeepEqual(again, first) {
			t.Errorf("the second time got\n%v, want\n%v", again, first)
		}
		if n := s.tasks(title); n != 1 {
			t.Errorf("factro has %d tasks of this title, want 1", n)
		}
		// An id is for one command, whether the stream drops the second one or the bridge refuses it.
		p.fails(t, 3, "used before, for createTask of urn:example:script", "command", cloud, "task.deleteTask", `{"taskId":"x"}`, "größe 1")
		p.fails(t, 3, "used before, for other data", "command", cloud, "task.createTask", s.newTask("anders"), "größe 1")
		p.fails(t, 3, "the earlier command: {", "command", cloud, "task.createTask", s.newTask("anders"), "größe 1")
		create := payload.CreateTask{Title: "gibt der Nachricht eine andere Id", TargetParentID: s.factro.Demo().Package}
		if _, err := events.NewClient(s.js, cloud).Do(t.Context(), create, events.WithID("größe 2"), events.WithSource("urn:example:script")); err != nil {
			t.Fatal(err)
		}
		p.fails(t, 3, "used before, for other data", "command", cloud, "task.createTask", s.newTask("anders"), "größe 2")
		p.fails(t, 3, "the earlier command: {", "command", cloud, "task.createTask", s.newTask("noch anders"), "größe 2")
		if n := s.tasks("anders") + s.tasks("noch anders"); n != 0 {
			t.Errorf("factro has %d tasks more", n)
		}
		// The same data is the same in whatever way it is written.
		const letters = `"plannedEffort":1.50,"customFields":{"10":1e21,"9":0.1,"😀":2,"￮":null,"é":"\u2028\u0007\ud83d\ude00\u007f\/\\\b"}}`
		written := p.applied(t, "command", cloud, "task.createTask", strings.TrimSuffix(s.newTask("überall <&>"), "}")+","+letters, "größe 3")
		again := p.applied(t, "command", cloud, "task.createTask", "{"+strings.TrimSuffix(letters, "}")+", "+s.newTask("überall <&>")[1:], "größe 3")
		if !reflect.DeepEqual(again, written) {
			t.Errorf("the second time got\n%v, want\n%v", again, written)
		}
		p.fails(t, 1, `the operation is "createTask", want <resource>.<operation>`, "command", cloud, "createTask", `{}`)
		p.fails(t, 3, "createTask rejected: invalid: ", "command", cloud, "task.createTask", `{"title":1}`)
		p.fails(t, 3, "/title: got number, want string", "command", cloud, "task.createTask", `{"title":1}`)
		p.fails(t, 3, "setTaskState rejected: refused: ", "command", cloud, "task.setTaskState", `{"taskId":"`+unknownTask+`","state":"review"}`)
		p.fails(t, 1, "no stream takes factro.command.elsewhere.task.createTask", "command", "elsewhere", "task.createTask", `{}`)

		schema := filepath.Join(p.dir, "createTask.json")
		contract, text, errOut := program(t, bridgeBinary, "contract", "schema", "createTask")
		if err := contract.Run(); err != nil {
			t.Fatalf("%v\n%s", err, errOut)
		}
		if err := os.WriteFile(schema, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		p.env = append(p.env, "SCHEMA="+schema)
		before := s.messages(t, prefix.ResultStream("demo"))
		p.fails(t, 2, "/title: ", "command", cloud, "task.createTask", `{"title":1}`)
		if after := s.messages(t, prefix.ResultStream("demo")); after != before {
			t.Errorf("what the schema refuses was sent")
		}
		p.applied(t, "command", cloud, "task.createTask", s.newTask("gültig"))
	})
}

// fails runs a program that is to fail, and looks for a text in what it says.
func (p *page) fails(t *testing.T, code int, want, name string, args ...string) {
	t.Helper()
	out, errOut, got := p.run(t, name, args...)
	if got != code || !strings.Contains(errOut, want) || strings.Contains(errOut, "undefined") {
		t.Errorf("%s %s: exit code %d, want %d and %q:\n%s%s", name, args, got, code, want, out, errOut)
	}
}

// The lines that the pages show for a first try do something as they stand there.
func TestPageLines(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := startSite(t)
		p := s.page(t, l)
		s.aTask(t, "damit der Dienst da ist")
		text, err := os.ReadFile("../../docs/" + l.name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		lines := regexp.MustCompile(`(?m)^`+l.interpreter+` \w+\.\w+ demo .*$`).FindAllString(string(text), -1)
		if len(lines) != 2 {
			t.Errorf("the page has the lines %q, want one command and one query", lines)
		}
		for _, line := range lines {
			shell, stdout, stderr := s.program(t, "sh", "-c", line)
			shell.Dir = p.dir
			if err := shell.Run(); err != nil || stdout.Len() < 100 {
				t.Errorf("%s: %v\n%s%s", line, err, stdout, stderr)
			}
		}
	})
}

// Without a NATS server the programs say so.
func TestPageWithoutNATS(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		p := (&site{nats: "nats://127.0.0.1:1"}).page(t, l)
		p.fails(t, 1, "127.0.0.1:1", "command", cloud, "task.createTask")
		p.fails(t, 1, "127.0.0.1:1", "review", cloud)
	})
}

// A command that dies is reported as such.
func TestPageSeesDeath(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := startSite(t)
		// An empty answer to a create that is not found then is not made again.
		if err := s.factro.SetFaults(sim.Faults{{Kind: sim.FaultEmpty, Operation: "createTask"}}); err != nil {
			t.Fatal(err)
		}
		s.page(t, l).fails(t, 3, "createTask dead: ambiguous: ", "command", cloud, "task.createTask", s.newTask("leer"))
	})
}

// While factro is away the programs go on waiting, and NATS may be away in the meantime.
func TestPageWaits(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := startSite(t)
		p := s.page(t, l)
		if err := s.factro.SetFaults(sim.Faults{{Kind: sim.FaultError, Status: http.StatusServiceUnavailable}}); err != nil {
			t.Fatal(err)
		}
		waiting := p.launch(t, "command", cloud, "task.createTask", s.newTask("später"), "w-1")
		s.stored(t, prefix.ResultStream("demo"), "factro.result.demo.task.createTask.deferred")
		s.server.Restart()
		if err := s.factro.SetFaults(nil); err != nil {
			t.Fatal(err)
		}
		if got := waiting.next(t); got["outcome"] != "applied" {
			t.Errorf("got %v", got)
		}
		if err := waiting.cmd.Wait(); err != nil || !strings.Contains(waiting.stderr.String(), "deferred: ") {
			t.Errorf("%v: %s", err, waiting.stderr)
		}
		lines := regexp.MustCompile("(?m)^deferred: .*$").FindAllString(waiting.stderr.String(), -1)
		if once := slices.Compact(slices.Sorted(slices.Values(lines))); len(once) != len(lines) {
			t.Errorf("a deferred result was reported more than once:\n%s", strings.Join(lines, "\n"))
		}
		if n := s.tasks("später"); n != 1 {
			t.Errorf("factro has %d tasks, want 1", n)
		}
	})
}

// The pages' programs ask factro, report its refusals, and read an answer that is too large for a message.
func TestPageAsks(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := &site{}
		s.useNATS(t, natstest.Start(t, func(o *server.Options) { o.MaxPayload = 256 << 10 }))
		api := s.startFactro(t)
		s.startBridge(t, api)
		p := s.page(t, l)
		task := s.aTask(t, "Büroprüfung")
		out, errOut, code := p.run(t, "query", cloud, "task.getTask", task)
		if code != 0 || objects(t, out)[0]["title"] != "Büroprüfung" {
			t.Errorf("exit code %d: %s%s", code, out, errOut)
		}
		p.fails(t, 1, "404 refused: ", "query", cloud, "task.getTask", `{"taskId":"`+unknownTask+`"}`)
		p.fails(t, 1, "400 invalid: ", "query", cloud, "task.getTask", `{}`)
		p.fails(t, 1, "nobody answers for the cloud elsewhere", "query", "elsewhere", "task.listTasks")
		p.fails(t, 1, `the operation is "listTasks", want <resource>.<operation>`, "query", cloud, "listTasks")
		if strings.Contains(errOut, "disconnected") {
			t.Errorf("the end of the program is reported as a lost connection: %s", errOut)
		}

		var items []any
		for range 40 {
			items = append(items, map[string]string{
				"title": "groß", "targetParentId": s.factro.Demo().Package, "description": strings.Repeat("größe ", 1500),
			})
		}
		want := ""
		for range 2 { // a command has to fit into a message
			s.core(t, api, http.MethodPost, "/tasks/tasks", asJSON(t, items))
		}
		want = s.core(t, api, http.MethodGet, "/tasks", "")
		if len(want) < 512<<10 {
			t.Fatalf("the list has %d bytes only", len(want))
		}
		if out, errOut, code := p.run(t, "query", cloud, "task.listTasks"); code != 0 || strings.TrimSuffix(out, "\n") != want {
			t.Errorf("exit code %d, %d bytes, want %d: %s", code, len(out), len(want), errOut)
		}
	})
}

// core calls factro itself.
func (s *site) core(t *testing.T, api, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, api+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s, %v", method, path, resp.Status, text, err)
	}
	return string(text)
}

// An event is handled again after an error, its command is carried out once, however often it comes, and its trace goes on.
func TestPageReviews(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := startSite(t)
		p := s.page(t, l)
		task := s.aTask(t, "geprüft")
		id := objects(t, task)[0]["taskId"].(string)
		p.applied(t, "command", cloud, "task.setTaskState", `{"taskId":"`+id+`","state":"review"}`)
		event := s.stored(t, prefix.EventStream("demo"), "factro.event.demo.task."+id+".TaskStateChanged")

		reviewing := p.launch(t, "review", cloud)
		waitFor(t, "the consumer", func() bool {
			_, err := s.js.Consumer(t.Context(), prefix.EventStream("demo"), "review")
			return err == nil
		})
		// What factro refuses is not repeated, and what fails is.
		if err := s.factro.SetFaults(sim.Faults{{Kind: sim.FaultError, Status: 500, Operation: "getTask", Count: 1}}); err != nil {
			t.Fatal(err)
		}
		s.republish(t, event.Header, event.Data, event.Subject)
		s.deliver(t, `{"id":"gone","action":"TaskStateChanged","context":{"entityId":"`+unknownTask+`"}}`)
		result := reviewing.next(t)
		if result["operation"] != "createTaskComment" || result["outcome"] != "applied" {
			t.Errorf("got %v", result)
		}
		s.republish(t, event.Header, event.Data, event.Subject)
		if again := reviewing.next(t); !reflect.DeepEqual(again, result) {
			t.Errorf("the second time got\n%v, want\n%v", again, result)
		}
		s.acknowledged(t, "review", 4) // the first delivery of the first event is not one, and the refused event is none either
		if rest := reviewing.stop(t); len(rest) > 0 {
			t.Errorf("got more: %s", rest)
		}
		if list, _, _ := p.run(t, "query", cloud, "task.listTaskComments", task); strings.Count(list, "Prüfung folgt") != 1 {
			t.Errorf("factro has the comments %s, want 1", list)
		}
		kept := s.stored(t, prefix.ResultStream("demo"), "factro.result.demo.task.createTaskComment.applied")
		if got, want := kept.Header.Get("ce-traceparent"), event.Header.Get("traceparent"); traceID(got) != traceID(want) || traceID(want) == "" {
			t.Errorf("the result has the trace %q, the event %q", got, want)
		}
	})
}

func traceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}

// republish stores a message of an event once more, as if it had come twice.
func (s *site) republish(t *testing.T, header nats.Header, data []byte, subject string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	msg := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
	for name, values := range header {
		if !strings.HasPrefix(name, "Nats-") {
			msg.Header[name] = values
		}
	}
	if _, err := s.js.PublishMsg(ctx, msg); err != nil {
		t.Fatal(err)
	}
}

// A file gets to factro by way of the object store.
func TestPageUploads(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		s := startSite(t)
		p := s.page(t, l)
		id := objects(t, s.aTask(t, "mit Plan"))[0]["taskId"].(string)
		content := strings.Repeat("größe\n", 400_000) // more than a message can hold
		if err := os.WriteFile(filepath.Join(p.dir, "Plan größe.txt"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got := p.applied(t, "upload", cloud, id, "Plan größe.txt", "text/plain")
		list, _, _ := p.run(t, "query", cloud, "task.listTaskDocuments", `{"taskId":"`+id+`"}`)
		if !strings.Contains(list, "Plan größe.txt") || !strings.Contains(list, strconv.Itoa(len(content))) {
			t.Errorf("got %v, and factro has the documents %s", got, list)
		}
	})
}
