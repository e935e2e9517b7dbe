package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// brokerDir is the variable by which the program of the tests becomes a NATS server, in a process of its own.
const brokerDir = "FACTRO_BRIDGE_TEST_BROKER"

// serveBroker is a NATS server that prints its address, until its standard input ends.
func serveBroker(dir string) int {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return 1
	}
	fmt.Fprintln(os.Stdout, s.Addr().(*net.TCPAddr).Port)
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // the end is an error
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

func startBroker(t *testing.T) (url string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), brokerDir+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "nats://127.0.0.1:" + strings.TrimSpace(line)
}

// TestTraceCost: what bridge trace takes beside a million events of two hundred thousand objects.
func TestTraceCost(t *testing.T) { //nolint:paralleltest // others would take the processors
	if !*pace {
		t.Skip("it measures time; run it with -pace")
	}
	const count, objects, results = 1_000_000, 200_000, 50_000
	url, f := startBroker(t), startFactro(t, sim.Config{})
	newBridge(t, bridgeConfig{nats: url, clouds: map[string]string{"acme": f.url}}).start()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	if err != nil {
		t.Fatal(err)
	}
	done := watchStream(t, js, prefix.ResultStream("acme"))
	publishAsync := func(msg *nats.Msg) {
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	ids := make([]string, objects)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	var first, last, timed string
	for n := range count {
		id := uuid.NewString()
		last = id
		switch n {
		case 0:
			first = id
		case count / 2:
			id = uuid.Must(uuid.NewV7()).String()
			timed = id
		}
		publishAsync(storedEvent(ids[n%objects], id))
		if n%(count/results+1) == 0 {
			publishAsync(storedResult(ids[n%objects], id))
		}
	}
	<-js.PublishAsyncComplete()
	const trace = "0af7651916cd43dd8448eb211c80319c"
	command := nats.NewMsg(subjectOf(t, "acme", "createTask"))
	command.Data = []byte(newTask(f, "traced"))
	command.Header.Set("traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	command.Header.Set(events.HeaderMessageID, "traced")
	publish(t, js, command)
	done.finalOf(t, "traced")
	for _, c := range []struct {
		name  string
		times int
		args  []string
	}{
		{"an object", 3, []string{ids[objects/3]}},
		{"a command", 3, []string{"traced"}},
		{"a command, of known kind", 3, []string{"traced", "--kind", "command"}},
		{"an event, of an id with a time", 1, []string{timed}},
		{"an event, the newest one", 3, []string{last}},
		{"an event, the first one", 1, []string{first, "--kind", "event"}},
		{"a trace", 1, []string{trace, "--kind", "trace"}},
		{"nothing", 1, []string{"nowhere"}},
	} {
		for range c.times {
			traceOnce(t, c.name, append(c.args, "--json", "--nats", url, "--since", "1d"))
		}
	}
}

// traceOnce measures one run.
func traceOnce(t *testing.T, name string, args []string) {
	t.Helper()
	if strings.Contains(name, "time") {
		args = args[:len(args)-2] // the id tells since when
	}
	cmd := exec.Command(binary, append([]string{"trace"}, args...)...)
	cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The figures of a process that has ended include the one that started it.
	peak, over := 0, make(chan error, 1)
	go func() { over <- cmd.Wait() }() // nothing found is an exit code
	for running := true; running; {
		select {
		case <-over:
			running = false
		case <-time.After(5 * time.Millisecond):
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
	took := time.Since(began)
	var doc traced
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out.String(), log.String())
	}
	messages := uint64(0)
	for _, l := range doc.Looked {
		messages += l.Messages
	}
	heap := 0
	for _, m := range regexp.MustCompile(`(\d+)->(\d+)->\d+ MB`).FindAllStringSubmatch(log.String(), -1) {
		n, _ := strconv.Atoi(m[2]) // digits
		heap = max(heap, n)
	}
	t.Logf("%-42s %7.2f s, processor %6.2f s, RSS %4.0f MiB, heap %3d MB, %8d messages read, %3d steps, kinds %v", name, took.Seconds(),
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), float64(peak)/1024, heap, messages, len(doc.Entries), doc.Kinds)
}

// highWater is the most that a process has had in memory so far, in KiB.
func highWater(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may be over
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n := 0
	_, _ = fmt.Sscan(rest, &n)
	return n
}

// storedEvent is an event as the bridge stores it.
func storedEvent(object, id string) *nats.Msg {
	now, parent := time.Now().UTC().Format(time.RFC3339Nano), traceparent()
	msg := nats.NewMsg(prefix.Event("acme", "task", object, "TaskStateChanged"))
	for name, value := range map[string]string{
		"ce-specversion": "1.0", "ce-id": id, "ce-source": "urn:factro:cloud:acme", "ce-type": "com.factro.TaskStateChanged", "ce-subject": "task/" + object,
		"ce-time": now, "ce-recordedtime": now, "ce-factroaction": "TaskStateChanged", "ce-factrocloud": "acme", "ce-factroorigin": "webhook",
		"ce-datacontenttype": "application/json", "ce-traceparent": parent, "traceparent": parent, events.HeaderMessageID: "acme." + id,
	} {
		msg.Header[name] = []string{value}
	}
	msg.Data = fmt.Appendf(nil, `{"id":%q,"action":"TaskStateChanged","context":{"entityId":%q},"createdAt":%q}`, id, object, now)
	return msg
}

// storedResult is a result as the bridge stores it.
func storedResult(object, id string) *nats.Msg {
	now, parent := time.Now().UTC().Format(time.RFC3339Nano), traceparent()
	msg := nats.NewMsg(prefix.Result("acme", "task", "setTaskState", events.Applied))
	for name, value := range map[string]string{
		"ce-specversion": "1.0", "ce-id": id + ".applied", "ce-source": "urn:factro:bridge:acme", "ce-type": "com.factro.result.applied", "ce-subject": "task/" + object,
		"ce-time": now, "ce-factrocloud": "acme", "ce-datacontenttype": "application/json", "ce-traceparent": parent, "traceparent": parent,
		"ce-causationid": "c-" + id, "ce-causationsource": "urn:example:billing", "ce-causationposition": "FACTRO_COMMANDS_ACME:17",
		events.HeaderMessageID: "acme." + id + ".applied",
	} {
		msg.Header[name] = []string{value}
	}
	msg.Data = fmt.Appendf(nil, `{"operation":"setTaskState","outcome":"applied","status":200,"attempts":1,"startedAt":%q,"finishedAt":%q,`+
		`"resource":{"type":"task","id":%q},"response":{"id":%q,"title":"Für die Messung","taskState":"done"},"set":{"taskState":"done"}}`, now, now, object, object)
	return msg
}

func traceparent() string {
	return "00-" + strings.ReplaceAll(uuid.NewString(), "-", "") + "-b7ad6b7169203331-01"
}
