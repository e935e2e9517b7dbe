package hostile

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	natsHeaders = 64<<10 - 1 // of a message, with the line before and the line after them
	junkHeader  = "X-Junk"
)

// junk is a header of so many bytes in all.
func junk(n int) map[string][]string {
	return map[string][]string{junkHeader: {strings.Repeat("j", n)}}
}

// fill is a header that brings a command's headers to the server's limit, less what is to be left.
func fill(c command, left int) map[string][]string {
	size := len("NATS/1.0\r\n\r\n") + len("Nats-Msg-Id: \r\n") + 36 + len(junkHeader+": \r\n")
	if c.source != "" {
		for _, line := range []string{
			"ce-specversion: 1.0", "ce-id: " + strings.Repeat("x", 36), "ce-source: " + c.source, "ce-type: hostile." + c.operation, "content-type: application/json",
		} {
			size += len(line) + len("\r\n")
		}
	}
	return junk(natsHeaders - size - left)
}

// dead counts the dead letters of the attacker's cloud, and those whose original is kept elsewhere.
func (w *world) dead() (all, partial int) {
	w.t.Helper()
	must(w.t, w.each(w.ctx, string(prefix)+".dead.command."+acme+".>", func(_ string, header nats.Header) {
		all++
		if len(header["Factro-Dead-Original"]) > 0 {
			partial++
		}
	}))
	return all, partial
}

// One command must never stop a cloud's commands, whatever its headers, attributes and data weigh, and whatever becomes of
// it.
func TestOversizedCommands(t *testing.T) {
	t.Parallel()
	for _, spool := range []bool{false, true} {
		t.Run(fmt.Sprintf("spool %t", spool), func(t *testing.T) {
			t.Parallel()
			const maxPayload = 1 << 20
			var throttled atomic.Int64
			w := newWorld(t, "commands whose headers or data just fit into a message", setting{
				spool: spool, nats: natsSetting{maxPayload: maxPayload},
				core: map[string]func(http.Handler) http.Handler{acme: func(core http.Handler) http.Handler {
					return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if r.Method == http.MethodPost && throttled.Add(-1) >= 0 { // the command is deferred, and then carried out
							rw.Header().Set("Retry-After", "1")
							rw.WriteHeader(http.StatusTooManyRequests)
							return
						}
						core.ServeHTTP(rw, r)
					})
				}},
			})
			n := w.bridges[0]
			seen := make(chan struct{})
			go func() {
				defer close(seen)
				for range 160 {
					if status, text := n.get("/readyz"); status != http.StatusOK || strings.Contains(text, "spooled") {
						t.Errorf("/readyz says %d %s", status, text)
					}
					w.pause(20 * time.Millisecond)
				}
			}()
			many := map[string][]string{}
			for i := range 3260 {
				many[fmt.Sprintf("X-%04d", i)] = []string{"0123456789"}
			}
			task := func(size int) string {
				text := fmt.Sprintf(`{"title":"t","targetParentId":%q,"description":""}`, factro.ExamplePackage)
				return strings.Replace(text, `""`, `"`+strings.Repeat("d", max(size-len(text), 0))+`"`, 1)
			}
			const rejected = "{}"
			letters := 0
			for _, a := range []struct {
				name string
				command
				deferred bool
				outcome  events.Outcome
			}{
				{name: "junk, rejected", command: command{data: rejected, header: junk(65_300)}, outcome: events.Rejected},
				{name: "junk to the byte, rejected", command: command{data: rejected, header: fill(command{}, 0)}, outcome: events.Rejected},
				{name: "junk to the byte, applied", command: command{header: fill(command{}, 0)}, outcome: events.Applied},
				{name: "junk to the byte, deferred", command: command{header: fill(command{}, 0)}, deferred: true, outcome: events.Applied},
				{name: "junk, unknown operation", command: command{operation: "createNothing", data: rejected, header: junk(65_300)}, outcome: events.Rejected},
				{name: "junk, refused by factro", command: command{operation: "deleteTask", data: `{"taskId":"nowhere"}`, header: junk(65_300)}},
				{name: "many headers, rejected", command: command{data: rejected, header: many}, outcome: events.Rejected},
				{name: "a huge extension, rejected", command: command{data: rejected, source: "urn:x", header: map[string][]string{"ce-huge": {strings.Repeat("h", 65_000)}}}, outcome: events.Rejected},
				{name: "a huge correlationid", command: command{source: "urn:x", header: map[string][]string{"ce-correlationid": {strings.Repeat("k", 65_000)}}}, outcome: events.Rejected},
				{name: "a huge source", command: command{source: "urn:" + strings.Repeat("s", 65_000)}, outcome: events.Rejected},
				{name: "a huge operation", command: command{operation: strings.Repeat("o", 3000), data: rejected, header: junk(60_000)}, outcome: events.Rejected},
				{name: "a huge resource", command: command{resource: strings.Repeat("r", 3000), data: rejected, header: junk(60_000)}, outcome: events.Rejected},
				{name: "data to the limit, rejected", command: command{data: strings.Repeat(" ", maxPayload-200) + "{}"}, outcome: events.Rejected},
				{name: "data to the limit, taken", command: command{data: task(maxPayload - 200)}},
				{name: "data and headers, rejected", command: command{data: strings.Repeat(" ", maxPayload-66_000) + "{}", header: junk(65_000)}, outcome: events.Rejected},
				{name: "a huge subject for the reply", command: command{data: rejected, header: map[string][]string{"Factro-Reply-To": {"a." + strings.Repeat("s", 65_000)}}}, outcome: events.Rejected},
			} {
				a.cloud = acme
				if a.deferred {
					throttled.Store(1)
				}
				c, _, err := w.publish(a.command)
				if err != nil {
					t.Errorf("%s: the broker does not take it, so the row proves nothing: %v", a.name, err)
					continue
				}
				r := w.result(c)
				if a.outcome != "" && r.outcome != a.outcome {
					t.Errorf("%s: it is %s: %.500s", a.name, r.outcome, r.data)
				}
				if r.outcome != events.Applied {
					letters++
				}
				next := w.send(command{cloud: acme})
				if r := w.result(next); r.outcome != events.Applied {
					t.Errorf("%s: the next command is %s: %.500s", a.name, r.outcome, r.data)
				}
			}
			w.await("the queue is empty", func() bool { v, ok := n.metric("factro_bridge_commands_pending"); return ok && v == 0 })
			all, partial := w.dead()
			if all != letters || partial < 8 {
				t.Errorf("there are %d dead letters, %d with their original elsewhere, want %d, and at least 8", all, partial, letters)
			}
			if out, err := exec.CommandContext(w.ctx, *binary, "dead", "redrive", "--nats", "nats://"+w.natsAddress, acme+"/1").CombinedOutput(); err != nil ||
				!strings.Contains(string(out), "1 sent again") {
				t.Errorf("the first command cannot be sent again: %v\n%s", err, out)
			}
			w.await("it has died again", func() bool { again, _ := w.dead(); return again == all }) // the first letter is gone
			<-seen
			w.aftermath(beta, acme)
		})
	}
}

// change changes the configuration of the stream that holds a subject.
func (w *world) change(subject string, change func(*jetstream.StreamConfig)) {
	w.t.Helper()
	name, err := w.streamOf(subject)
	must(w.t, err)
	s, err := w.js.Stream(w.ctx, name)
	must(w.t, err)
	cfg := s.CachedInfo().Config
	change(&cfg)
	_, err = w.js.UpdateStream(w.ctx, cfg)
	must(w.t, err)
}

// A stream of dead letters that takes nearly nothing holds up nobody: what it refuses is parked, and published later.
func TestTinyDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rejected commands, while the stream of dead letters takes only the smallest messages", setting{})
	subject := prefix.DeadCommand(acme, "task", "createTask")
	w.change(subject, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 })
	n := scale(20, 500)
	for i := range n {
		c := command{cloud: acme, data: "{}"}
		if i%2 == 0 {
			c.header = junk(65_300)
		}
		if r := w.result(w.send(c)); r.outcome != events.Rejected {
			t.Errorf("it is %s", r.outcome)
		}
	}
	w.usual(acme)
	w.usual(beta)
	w.await("all are parked", func() bool {
		v, _ := w.bridges[0].metric("factro_bridge_refused_total", `outcome="parked"`)
		return v == float64(n)
	})
	w.change(subject, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
	w.await("the letters are published", func() bool { all, _ := w.dead(); return all == n })
	w.await("nothing is parked", func() bool { v, ok := w.bridges[0].metric("factro_bridge_commands_parked"); return ok && v == 0 })
	w.aftermath(beta, acme)
}

// Streams that refuse everything, although the broker answers, hold up the commands for a minute and not for good.
func TestSealedStreams(t *testing.T) {
	t.Parallel()
	if *form == "short" {
		t.Skip("it takes two minutes; in the short form internal/bus tries it with shorter times")
	}
	dead, results := prefix.DeadCommand(acme, "task", "createTask"), prefix.Result(acme, "task", "createTask", events.Rejected)
	for name, a := range map[string]struct{ refuse, repair func(*world) }{
		"dead letters, sealed": {
			func(w *world) { w.change(dead, func(c *jetstream.StreamConfig) { c.Sealed = true }) },
			func(w *world) { // the bridge creates it again
				stream, err := w.streamOf(dead)
				must(w.t, err)
				must(w.t, w.js.DeleteStream(w.ctx, stream))
			},
		},
		"results, full": {
			func(w *world) {
				w.change(results, func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardNew, 100 })
			},
			func(w *world) {
				w.change(results, func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, -1 })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "rejected commands, while this stream refuses everything: "+name, setting{spool: true, bound: 10 * time.Minute})
			a.refuse(w)
			var sent []command
			for range 10 {
				sent = append(sent, w.send(command{cloud: acme, data: "{}"}))
			}
			w.await("all are settled", func() bool {
				v, _ := w.bridges[0].metric("factro_bridge_refused_total", `outcome="parked"`)
				return v >= float64(len(sent))
			})
			a.repair(w)
			for _, c := range sent {
				if r := w.result(c); r.outcome != events.Rejected {
					t.Errorf("it is %s", r.outcome)
				}
			}
			w.await("nothing is parked", func() bool { v, ok := w.bridges[0].metric("factro_bridge_commands_parked"); return ok && v == 0 })
			w.await("all letters are there", func() bool { all, _ := w.dead(); return all == len(sent) })
			w.aftermath(beta, acme)
		})
	}
}
