package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// delaying is a bridge, and a program that sends delayed commands.
type delaying struct {
	t      testing.TB
	n      *natstest.Server
	f      *factro
	b      *bridge
	js     jetstream.JetStream
	client *events.Client
}

func newDelaying(t testing.TB, env ...string) *delaying {
	t.Helper()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: env}).start()
	_, js := n.Connect(t, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	return &delaying{t, n, f, b, js, events.NewClient(js, "acme", events.WithDefaults(events.WithSource("urn:test")))}
}

// task is a command that makes a task.
func (d *delaying) task(title string) events.Payload {
	return payload.CreateTask{Title: title, TargetParentID: d.f.demo.Package}
}

// ended is the outcome of a command.
type ended struct {
	result events.Result
	err    error
}

// inTime has steps done that must end before a time: how long they take depends on how busy the machine is, so they are repeated with
// more time until they did. The commands of each attempt have a suffix of its own.
func (d *delaying) inTime(lead time.Duration, steps func(at time.Time, suffix string)) (at time.Time, suffix string) {
	d.t.Helper()
	for ; lead < 2*patience; lead *= 2 {
		at, suffix = time.Now().Add(lead), fmt.Sprint("-", lead)
		if steps(at, suffix); time.Now().Before(at) {
			return at, suffix
		}
		d.t.Logf("this machine is too busy to be done within %s", lead)
	}
	d.t.Fatal("this machine is too busy")
	return at, suffix
}

// do sends a command in the background, and returns a channel for its outcome, once its first result has said that it waits. If its time
// has passed by then, it may have ended, or wait for something else.
func (d *delaying) do(title, id string, notBefore time.Time, more ...events.DoOption) <-chan ended {
	d.t.Helper()
	deferred, done := make(chan events.Result, 16), make(chan ended, 1)
	opts := append([]events.DoOption{
		events.WithID(id), events.WithNotBefore(notBefore), events.OnDeferred(func(r events.Result) { deferred <- r }),
	}, more...)
	go func() {
		ctx, cancel := context.WithTimeout(d.t.Context(), max(0, time.Until(notBefore))+patience)
		defer cancel()
		r, err := d.client.Do(ctx, d.task(title), opts...)
		done <- ended{r, err}
	}()
	for {
		select {
		case r := <-deferred:
			switch {
			case time.Now().After(notBefore):
				return done
			case r.Error != nil && r.Error.Code == events.CodeQueued: // so many were sent at once
				continue
			case r.Error == nil || r.Error.Code != notbefore.CodeWaiting || r.RetryAt == nil || r.RetryAt.Sub(notBefore).Abs() > time.Millisecond:
				d.t.Errorf("the command %s is deferred: %+v", id, r)
			}
			return done
		case e := <-done:
			if time.Now().Before(notBefore) {
				d.t.Fatalf("the command %s ended at once: %+v, %v", id, e.result, e.err)
			}
			done <- e
			return done
		case <-time.After(patience):
			d.t.Fatalf("the command %s is not deferred\n%s", id, d.b.log)
		}
	}
}

func (d *delaying) end(done <-chan ended) ended {
	d.t.Helper()
	select {
	case e := <-done:
		return e
	case <-time.After(patience):
		d.t.Fatalf("a command does not end\n%s", d.b.log)
		return ended{}
	}
}

func (d *delaying) applied(done <-chan ended) {
	d.t.Helper()
	if e := d.end(done); e.err != nil || e.result.Outcome != events.Applied {
		d.t.Errorf("got %+v, %v", e.result, e.err)
	}
}

// refused waits until a command is rejected with a code, whose message holds a text.
func (d *delaying) refused(done <-chan ended, code, text string) {
	d.t.Helper()
	e := d.end(done)
	got, ok := errors.AsType[*events.Error](e.err)
	if !ok || got.Code != code || e.result.Outcome != events.Rejected || !strings.Contains(got.Message, text) {
		d.t.Errorf("got %+v, %v, want the code %s and %q", e.result, e.err, code, text)
	}
}

// try sends a command that is not delayed, or not for long.
func (d *delaying) try(title string, opts ...events.DoOption) <-chan ended {
	done := make(chan ended, 1)
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	d.t.Cleanup(cancel)
	r, err := d.client.Do(ctx, d.task(title), opts...)
	done <- ended{r, err}
	return done
}

// waiting counts what waits in the stream of delayed commands.
func (d *delaying) waiting() uint64 {
	d.t.Helper()
	s, err := d.js.Stream(d.t.Context(), "FACTRO_DELAYED_ACME")
	if err != nil {
		d.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// TestDelayed: a command with notbefore is carried out after that time and soon, and its sender gets a deferred result. Others overtake it.
func TestDelayed(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	var done <-chan ended
	at, suffix := d.inTime(2*time.Second, func(at time.Time, suffix string) {
		done = d.do("later"+suffix, "a"+suffix, at)
		d.applied(d.try("at once", events.WithID("b"+suffix)))
		d.applied(d.try("in the past", events.WithID("c"+suffix), events.WithNotBefore(time.Now().Add(-time.Hour))))
		if tasksWithTitle(d.f, "later"+suffix) != 0 && time.Now().Before(at) {
			t.Error("it was carried out before its time")
		}
	})
	d.applied(done)
	if late := time.Since(at); late < 0 || late > 20*time.Second {
		t.Errorf("it was carried out %s after its time", late)
	}
	if n := tasksWithTitle(d.f, "later"+suffix); n != 1 {
		t.Errorf("factro has %d tasks", n)
	}
	waitFor(t, "nothing waits", func() bool { return d.waiting() == 0 })
}

// TestDelayedIsChecked: a command that could never be carried out is rejected at once, with a message that names the attribute.
func TestDelayedIsChecked(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	soon := time.Now().Add(time.Hour)
	for name, tt := range map[string]struct {
		opts []events.DoOption
		text string
	}{
		"too far ahead":        {[]events.DoOption{events.WithNotBefore(time.Now().Add(367 * 24 * time.Hour))}, "attribute notbefore is more than 366 days ahead"},
		"expires before":       {[]events.DoOption{events.WithNotBefore(soon), events.WithExpiry(soon.Add(-time.Minute))}, "attribute expirytime is not after notbefore"},
		"expires at that time": {[]events.DoOption{events.WithNotBefore(soon), events.WithExpiry(soon)}, "attribute expirytime is not after notbefore"},
	} {
		d.refused(d.try(name, tt.opts...), events.CodeInvalid, tt.text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	wrong := payload.Generic{Name: "createTask", Resource: "task", Data: map[string]any{"titel": "wrong"}}
	_, err := d.client.Do(ctx, wrong, events.WithNotBefore(soon))
	if e, ok := errors.AsType[*events.Error](err); !ok || e.Code != events.CodeInvalid {
		t.Errorf("a delayed command without a title: %v", err)
	}
	if r, err := d.client.Do(ctx, d.task("dry"), events.WithNotBefore(soon), events.DryRun()); err != nil || !r.DryRun {
		t.Errorf("a dry run is not answered at once: %+v, %v", r, err)
	}
	msg := nats.NewMsg(subjectOf(t, "acme", "createTask"))
	msg.Data = []byte(newTask(d.f, "no time"))
	for name, value := range map[string]string{"specversion": "1.0", "id": "no-time", "source": "urn:test", "type": "com.factro.command.createTask", "notbefore": "tomorrow"} {
		msg.Header["ce-"+name] = []string{value}
	}
	results := watchStream(t, d.js, prefix.ResultStream("acme"))
	publish(t, d.js, msg)
	if r := results.finalOf(t, "no-time"); r.Outcome != events.Rejected || r.Error.Code != events.CodeInvalid || !strings.Contains(r.Error.Message, "notbefore") {
		t.Errorf("got %+v", r)
	}
	// It has expired when it comes, since the server fires no schedule within less than a quarter of a second.
	var expires <-chan ended
	_, suffix := d.inTime(time.Second, func(at time.Time, suffix string) {
		expires = d.do("expires", "expires"+suffix, at, events.WithExpiry(at.Add(time.Millisecond)))
	})
	d.refused(expires, events.CodeExpired, "expirytime had passed")
	if state, err := d.client.Cancel(ctx, "", "expires"+suffix); err != nil || state != notbefore.NotFound {
		t.Errorf("a command that has expired is %s, %v", state, err)
	}
}

// TestDelayedAcrossRestarts: neither the end of the bridge nor that of the server loses a delayed command, or has it carried out twice or early.
func TestDelayedAcrossRestarts(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	at := time.Now().Add(4 * time.Second)
	first := d.do("first", "first", at)
	d.b.kill()
	d.n.Restart()
	d.b.start()
	d.applied(d.try("between")) // the bridge works on commands again
	var second <-chan ended
	_, suffix := d.inTime(time.Second, func(at time.Time, suffix string) { second = d.do("second"+suffix, "second"+suffix, at) })
	d.applied(second)
	d.applied(first)
	if late := time.Since(at); late < 0 {
		t.Errorf("it was carried out %s early", -late)
	}
	for _, title := range []string{"first", "second" + suffix} {
		if n := tasksWithTitle(d.f, title); n != 1 {
			t.Errorf("factro has %d tasks %s", n, title)
		}
	}
}

// TestDelayedTwice: a command that is sent again while it waits is the same one, and another command under its id is refused.
func TestDelayedTwice(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	results := watchStream(t, d.js, prefix.ResultStream("acme"))
	var first <-chan ended
	_, suffix := d.inTime(3*time.Second, func(at time.Time, suffix string) {
		id := "twice" + suffix
		first = d.do(id, id, at)
		for i, title := range []string{id, id, "another"} {
			data := fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, title, d.f.demo.Package)
			msg := nats.NewMsg(subjectOf(t, "acme", "createTask"))
			msg.Data = []byte(data)
			for name, value := range map[string]string{
				"specversion": "1.0", "id": id, "source": "urn:test", "type": "com.factro.command.createTask",
				"notbefore": at.Add(time.Duration(i) * time.Minute).UTC().Format(time.RFC3339Nano),
			} {
				msg.Header["ce-"+name] = []string{value}
			}
			msg.Header[events.HeaderMessageID] = []string{fmt.Sprint(id, "-", i)}
			publish(t, d.js, msg)
		}
		conflict := results.find(t, "the conflict", func(m message) bool {
			return strings.HasSuffix(m.subject, ".rejected") && m.event.Extensions()[attr.CausationID] == id
		})
		if !strings.Contains(string(conflict.data), events.CodeConflict) {
			t.Errorf("got %s", conflict.data)
		}
		if n := d.waiting(); n != 1 && time.Now().Before(at) {
			t.Errorf("%d commands wait", n)
		}
	})
	d.applied(first)
	if n := tasksWithTitle(d.f, "twice"+suffix) + tasksWithTitle(d.f, "another"); n != 1 {
		t.Errorf("factro has %d tasks", n)
	}
}

// TestCancel: a delayed command that is cancelled is not carried out, its sender gets a result, and there is no dead letter.
func TestCancel(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	done := d.do("cancelled", "c", time.Now().Add(time.Hour))
	for range 2 { // whoever gets no answer asks again
		if state, err := d.client.Cancel(t.Context(), "", "c"); err != nil || state != notbefore.Cancelled {
			t.Errorf("it is %s, %v", state, err)
		}
	}
	d.refused(done, notbefore.CodeCancelled, "cancelled before its notbefore")
	waitFor(t, "nothing waits", func() bool { return d.waiting() == 0 })
	d.refused(d.try("cancelled", events.WithID("c"), events.WithNotBefore(time.Now().Add(time.Hour))), notbefore.CodeCancelled, "cancelled")
	d.applied(d.try("begun", events.WithID("b")))
	for id, want := range map[string]notbefore.CancelState{"b": notbefore.Begun, "never sent": notbefore.NotFound, "c": notbefore.Cancelled} {
		if state, err := d.client.Cancel(t.Context(), "", id); err != nil || state != want {
			t.Errorf("%s is %s, %v, want %s", id, state, err, want)
		}
	}
	if state, err := d.client.Cancel(t.Context(), "urn:other", "c"); err != nil || state != notbefore.NotFound {
		t.Errorf("the command of another source is %s, %v", state, err)
	}
	if _, err := d.client.Cancel(t.Context(), "", ""); err == nil {
		t.Error("a request without an id is answered")
	}
	if n := tasksWithTitle(d.f, "cancelled"); n != 0 {
		t.Errorf("factro has %d tasks", n)
	}
	s, err := d.js.Stream(t.Context(), prefix.DeadStream("acme"))
	if err != nil || s.CachedInfo().State.Msgs != 0 {
		t.Errorf("there are %d dead letters, %v", s.CachedInfo().State.Msgs, err)
	}
}

// TestCancelRaces: however a request to cancel meets the moment at which its command is carried out, exactly one of the two happens, and
// the answer, the result and factro agree.
func TestCancelRaces(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	outcomes := map[notbefore.CancelState]int{}
	// How late a command is carried out depends on how busy the machine is, and so do the moments that meet it.
	for late := 1400 * time.Millisecond; outcomes[notbefore.Cancelled] == 0 || outcomes[notbefore.Begun] == 0; late *= 2 {
		if late > patience {
			t.Fatalf("the race was none: %v", outcomes)
		}
		d.cancelRaces(late, outcomes)
	}
	t.Logf("%v", outcomes)
}

// cancelRaces asks to cancel commands at moments up to a while after their time, and counts the outcomes.
func (d *delaying) cancelRaces(late time.Duration, outcomes map[notbefore.CancelState]int) {
	const rounds = 60
	var group sync.WaitGroup
	var mu sync.Mutex
	sending := make(chan struct{}, 8) // the others wait for their moment
	for i := range rounds {
		group.Go(func() {
			var id string
			var done <-chan ended
			sending <- struct{}{}
			at, _ := d.inTime(2*time.Second+rand.N(time.Second), func(at time.Time, suffix string) {
				id = fmt.Sprint("race-", late, "-", i, suffix)
				done = d.do(id, id, at)
			})
			<-sending
			<-time.After(time.Until(at.Add(rand.N(late) - 300*time.Millisecond))) // the moment is what varies
			ctx, cancel := context.WithTimeout(d.t.Context(), patience)
			defer cancel()
			state, err := d.client.Cancel(ctx, "", id)
			if err != nil {
				d.t.Errorf("%s: %v", id, err)
				return
			}
			e := <-done
			mu.Lock()
			defer mu.Unlock()
			outcomes[state]++
			want := events.Applied
			if state == notbefore.Cancelled {
				want = events.Rejected
			}
			if e.result.Outcome != want || state == notbefore.NotFound {
				d.t.Errorf("%s is %s, and its result %+v, %v", id, state, e.result, e.err)
			}
			if n := tasksWithTitle(d.f, id); n != 1 && want == events.Applied || n != 0 && want == events.Rejected {
				d.t.Errorf("%s is %s, and factro has %d tasks", id, state, n)
			}
		})
	}
	group.Wait()
}

// TestDelayedUnsupported: on a stream without message schedules that the bridge must not change, a command with notbefore is rejected with
// what is needed, others are carried out, and once the stream is as it should be it waits.
func TestDelayedUnsupported(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	owner := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	waitFor(t, "the stream is there", func() bool {
		_, err := js.Consumer(t.Context(), "FACTRO_DELAYED_ACME", "egress-delayed")
		return err == nil
	})
	s, err := js.Stream(t.Context(), "FACTRO_DELAYED_ACME")
	if err != nil {
		t.Fatal(err)
	}
	good := s.CachedInfo().Config
	if err := owner.terminate(); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), good.Name); err != nil {
		t.Fatal(err)
	}
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: []string{"FACTRO_BRIDGE_NATS_MANAGE=false"}}).start()
	d := &delaying{t, n, f, b, js, events.NewClient(js, "acme", events.WithDefaults(events.WithSource("urn:test")))}
	later := events.WithNotBefore(time.Now().Add(time.Hour))
	d.refused(d.try("missing", later), notbefore.CodeUnsupported, "the stream FACTRO_DELAYED_ACME is missing; a bridge with nats.manage: true makes it")
	if state, err := d.client.Cancel(t.Context(), "", "none"); err != nil || state != notbefore.NotFound {
		t.Errorf("without a stream, a command is %s, %v", state, err)
	}
	without := good
	without.AllowMsgSchedules = false
	if _, err := js.CreateStream(t.Context(), without); err != nil {
		t.Fatal(err)
	}
	d.refused(d.try("off", later), notbefore.CodeUnsupported, "lacks the option allow_msg_schedules, which a NATS server of version 2.12 or later has")
	d.applied(d.try("at once"))
	if err := js.DeleteStream(t.Context(), good.Name); err != nil {
		t.Fatal(err)
	}
	small := good
	small.MaxBytes = 1024
	if _, err := js.CreateStream(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	d.refused(d.try("full", later), notbefore.CodeFull, "of the 1024 bytes of the stream FACTRO_DELAYED_ACME")
	if err := b.terminate(); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), good.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), without); err != nil {
		t.Fatal(err)
	}
	d.b = owner
	owner.start() // it may manage, so it switches the option on
	var on <-chan ended
	d.inTime(time.Second, func(at time.Time, suffix string) { on = d.do("on", "on"+suffix, at) })
	d.applied(on)
}

// memory is how much memory the process of the bridge has.
func (d *delaying) memory() float64 {
	d.t.Helper()
	used, err := strconv.ParseFloat(d.b.metric("process_resident_memory_bytes"), 64)
	if err != nil {
		d.t.Fatal(err)
	}
	return used
}

// TestDelayedInNoMemory: a thousand commands that wait take no memory of the bridge, and "bridge delayed list" shows them.
func TestDelayedInNoMemory(t *testing.T) {
	t.Parallel()
	if raceFlag != "" {
		t.Skip("the race detector takes much memory itself")
	}
	d := newDelaying(t, "GOGC=100") // else it may hold 64 MiB of garbage
	const commands, size = 1000, 40_000
	before := d.memory()
	const senders = 16 // their commands share the way to the disk
	var group sync.WaitGroup
	for s := range senders {
		group.Go(func() {
			for i := s; i < commands; i += senders {
				_, err := d.client.Send(t.Context(), payload.CreateTask{Title: "late", Description: payload.Set(strings.Repeat("x", size)), TargetParentID: d.f.demo.Package},
					events.WithID(fmt.Sprint("late-", i)), events.WithNotBefore(time.Now().Add(24*time.Hour)))
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	var stored uint64
	waitFor(t, "all wait", func() bool { stored = d.waiting(); return stored == commands })
	grown := d.memory() - before
	t.Logf("%d commands of %d bytes wait; the bridge has grown by %.1f MiB", stored, size, grown/(1<<20))
	if most := float64(stored) * size / 2; grown > most {
		t.Errorf("the bridge has grown by %.0f bytes, want less than %.0f", grown, most)
	}
	out, errOut, code := bridgeCommand(t, "delayed", "list", "--nats", d.n.URL(), "--cloud", "acme", "--json")
	if n := strings.Count(out, "\n"); code != 0 || uint64(n) != stored {
		t.Errorf("exit code %d, %d lines for %d commands: %s", code, n, stored, errOut)
	}
	out, _, code = bridgeCommand(t, "delayed", "list", "--nats", d.n.URL())
	if code != 0 || !strings.Contains(out, "createTask") || !strings.Contains(out, fmt.Sprintf("… and %d more", stored-20)) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	cancel := []string{"cancel", "late-0", "--source", "urn:test", "--nats", d.n.URL(), "--cloud", "acme"}
	if out, errOut, code := bridgeCommand(t, cancel...); code != 0 || out != "cancelled\n  id  late-0\n" {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	cancel[1] = "nobody's"
	if out, _, code := bridgeCommand(t, append(cancel, "--json")...); code != 3 || out != `{"id":"nobody's","source":"urn:test","state":"not-found"}`+"\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	waitFor(t, "one is gone", func() bool { return d.waiting() == stored-1 })
	// What send has sent, cancel finds without another word.
	at := []string{"--nats", d.n.URL(), "--cloud", "acme"}
	if _, errOut, code := bridgeCommand(t, append([]string{"send", "deleteTask", "taskId=" + noTask, "--not-before", "7d", "--id", "clean-up"}, at...)...); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	waitFor(t, "it waits", func() bool { return d.waiting() == stored })
	if out, errOut, code := bridgeCommand(t, append([]string{"cancel", "clean-up"}, at...)...); code != 0 || out != "cancelled\n  id  clean-up\n" {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	if _, errOut, code := bridgeCommand(t, append([]string{"send", "deleteTask", "taskId=" + noTask, "--not-before", "-7d"}, at...)...); code != 2 || !strings.Contains(errOut, "has passed") {
		t.Errorf("a time before now: exit code %d: %s", code, errOut)
	}
}

// finals are the ids of the commands with a final result, in the order of the results, without the suffix that all of them have.
func (d *delaying) finals(suffix string) (ids []string) {
	for _, m := range read(d.t, d.js, prefix.ResultStream("acme"), ">") {
		id, ok := strings.CutSuffix(m.event.Extensions()["causationid"].(string), suffix)
		if ok && !strings.HasSuffix(m.subject, ".deferred") {
			ids = append(ids, id)
		}
	}
	return ids
}

// queued counts the commands in their queue.
func (d *delaying) queued() uint64 {
	d.t.Helper()
	s, err := d.js.Stream(d.t.Context(), prefix.CommandStream("acme"))
	if err != nil {
		d.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// pause has the bridge begin no command until resume is called.
func (d *delaying) pause() (resume func()) {
	steer(d.t, d.n, "pause", "commands")
	d.b.obeys("commands", true)
	return func() { steer(d.t, d.n, "resume", "commands") }
}

// TestDelayedInLane: a delayed command holds up none of the commands with its partition key. When it is due it has the place in their order
// at which it came into the queue.
func TestDelayedInLane(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	key := events.WithPartitionKey("one")
	resume := func() {} // after an attempt that was too slow
	var later <-chan ended
	_, suffix := d.inTime(3*time.Second, func(at time.Time, suffix string) {
		resume()
		later = d.do("later"+suffix, "later"+suffix, at, key)
		for _, id := range []string{"first" + suffix, "second" + suffix} {
			d.applied(d.try(id, events.WithID(id), key))
		}
		if tasksWithTitle(d.f, "later"+suffix) != 0 && time.Now().Before(at) {
			t.Error("it was carried out before its time")
		}
		resume = d.pause()
	})
	waitFor(t, "it is in the queue", func() bool { return d.queued() == 1 && d.waiting() == 0 })
	for _, id := range []string{"third" + suffix, "fourth" + suffix} {
		if _, err := d.client.Send(t.Context(), d.task(id), events.WithID(id), key); err != nil {
			t.Fatal(err)
		}
	}
	resume()
	d.applied(later)
	waitFor(t, "all are carried out", func() bool { return d.queued() == 0 })
	if got := strings.Join(d.finals(suffix), " "); got != "first second later third fourth" {
		t.Errorf("the order is %s", got)
	}
}

// TestDelayedRedriven: delayed commands that became dead letters can be sent again. One whose notbefore has not passed waits for it once more,
// and can be cancelled; one that is due is carried out at once.
func TestDelayedRedriven(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	var due string
	at, suffix := d.inTime(slow*6*time.Second, func(at time.Time, suffix string) { due = d.purgedAndRedriven(at, suffix) })
	early := "early" + suffix
	waitFor(t, "the one that is due is carried out", func() bool { return tasksWithTitle(d.f, due) == 1 })
	if tasksWithTitle(d.f, early) != 0 && time.Now().Before(at) {
		t.Error("it was carried out before its time")
	}
	waitFor(t, "the other one is carried out", func() bool { return tasksWithTitle(d.f, early) == 1 })
	if late := time.Since(at); late < 0 {
		t.Errorf("it was carried out %s early", -late)
	}
	waitFor(t, "nothing waits", func() bool { return d.waiting() == 0 && d.queued() == 0 })
	if n := tasksWithTitle(d.f, due) + tasksWithTitle(d.f, early) + tasksWithTitle(d.f, "cancelled"+suffix); n != 2 {
		t.Errorf("factro has %d tasks", n)
	}
	if n := len(read(t, d.js, prefix.DeadStream("acme"), ">")); n != 0 {
		t.Errorf("there are %d dead letters", n)
	}
}

// purgedAndRedriven makes dead letters of a command that is due and of two that are not, sends them again, and cancels one. It returns the
// title of the one that is due.
func (d *delaying) purgedAndRedriven(at time.Time, suffix string) (title string) {
	d.t.Helper()
	resume := func() {} // after an attempt that was too slow
	var due <-chan ended
	d.inTime(time.Second, func(at time.Time, attempt string) {
		resume()
		title = "due" + attempt + suffix
		due = d.do(title, title, at)
		resume = d.pause()
	})
	waitFor(d.t, "it is in the queue", func() bool { return d.queued() == 1 && d.waiting() == 0 })
	for name, notBefore := range map[string]time.Time{"early": at, "cancelled": at.Add(time.Hour)} {
		name += suffix
		if _, err := d.client.Send(d.t.Context(), d.task(name), events.WithID(name), events.WithNotBefore(notBefore)); err != nil {
			d.t.Fatal(err)
		}
	}
	if p := purge(d.t, d.n, "--reason", "a test"); p.Purged != 3 || p.Begun != 0 {
		d.t.Errorf("%d are purged, %d begun", p.Purged, p.Begun)
	}
	d.refused(due, events.CodePurged, "a test")
	if state, err := d.client.Cancel(d.t.Context(), "", title); err != nil || state != notbefore.Begun {
		d.t.Errorf("a command that was purged is %s, %v", state, err)
	}
	resume()
	if out, errOut, code := bridgeCommand(d.t, "dead", "redrive", "--nats", d.n.URL(), "--cloud", "acme", "--since", "1h"); code != 0 {
		d.t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	two := false
	waitFor(d.t, "two wait", func() bool {
		two = d.waiting() == 2
		return two || time.Now().After(at)
	})
	cancelled := func() bool {
		state, err := d.client.Cancel(d.t.Context(), "", "cancelled"+suffix)
		return err == nil && state == notbefore.Cancelled
	}
	if !two { // there will be another attempt
		waitFor(d.t, "it is cancelled", cancelled)
	} else if !cancelled() {
		d.t.Error("a command that waits again is not cancelled")
	}
	return title
}

// TestDelayedStatus: whoever waits for a delayed command hears that it waits for its notbefore, and until when, not that it is settled.
func TestDelayedStatus(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	said := make(chan status.Status, 16)
	d.do("later", "delayed-1", at, events.OnStatus(func(s status.Status, err error) {
		if err != nil {
			t.Errorf("the status is %v", err)
		}
		said <- s
	}))
	for {
		s := natstest.Receive(t, said)
		if s.Command == status.CommandSettled {
			t.Errorf("the status is %+v", s)
		}
		if s.Command != status.CommandDelayed {
			continue
		}
		if s.NotBefore == nil || !s.NotBefore.Equal(at) || s.Before != nil {
			t.Errorf("the status is %+v, want it delayed until %s", s, at)
		}
		break
	}
	sent := inBackground(t, "send", "createTask", "title=later", "targetParentId="+d.f.demo.Package, "--id", "delayed-2", "--not-before", at.Format(time.RFC3339),
		"--wait", "--timeout", "60s", "--nats", d.n.URL(), "--cloud", "acme")
	sent.says("waiting: for its notbefore, ")
}
