package bus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// list is what a client says is parked.
func list(t testing.TB, c *Client, f DeadFilter) (all []Parked) {
	t.Helper()
	f.Cloud = "acme"
	if err := c.Parked(t.Context(), "factro", f, func(one Parked) error { all = append(all, one); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// park has a bus park messages under a name.
func park(t testing.TB, b *Bus, name string, all ...*nats.Msg) {
	t.Helper()
	var messages []packed
	for _, m := range all {
		messages = append(messages, packed{name, m})
	}
	if err := b.keep(t.Context(), "acme", pendingName+name, messages...); err != nil {
		t.Fatal(err)
	}
}

// resultMsg is a result of the command with an id.
func resultMsg(t testing.TB, id string, outcome events.Outcome, data string) *nats.Msg {
	t.Helper()
	e := taskEvent(t, id+"."+string(outcome))
	e.SetType(events.ResultTypePrefix + string(outcome))
	e.SetExtension(events.ExtCausationID, id)
	e.SetExtension(events.ExtCausationPosition, "FACTRO_COMMANDS_ACME:7")
	e.DataEncoded = []byte(data)
	m, err := events.ToMsg("factro.result.acme.task.deleteTask."+string(outcome), e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestParkedIsListed: what is parked is told with what is known of its command, also if its stream is gone.
func TestParkedIsListed(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, _ := impatientBus(t, srv)
	out, client := srv.outside(t), dialTo(t, srv)
	w, _ := refuser()
	consume(t, b, w)
	if all := list(t, client, DeadFilter{}); len(all) != 0 {
		t.Errorf("at first %+v are parked", all)
	}
	limited(t, out, "FACTRO_DEAD_ACME", 100)
	out.command("c-1")
	eventually(t, "it is parked", func() bool { return out.parked() == 1 && out.count("FACTRO_COMMANDS_ACME") == 0 })
	park(t, b, "2", resultMsg(t, "c-2", events.Applied, `{"status":200}`))
	park(t, b, "3", resultMsg(t, "c-3", events.Rejected, `{"status":404,"error":{"code":"refused","message":"nein"}}`))
	park(t, b, "4", &nats.Msg{Subject: refusedCommand})
	if _, err := originalStore(t, out).PutString(t.Context(), pendingName+"5", "nonsense"); err != nil {
		t.Fatal(err)
	}
	if err := out.js.DeleteStream(t.Context(), "FACTRO_DEAD_ACME"); err != nil {
		t.Fatal(err)
	}
	if clouds, err := client.ParkedClouds(t.Context(), "factro"); err != nil || strings.Join(clouds, ",") != "acme" {
		t.Errorf("the clouds are %v, %v", clouds, err)
	}
	byID := map[string]Parked{}
	for _, one := range list(t, client, DeadFilter{}) {
		byID[one.ID+one.Object[:len(pendingName)]] = one
		if one.Bucket != "FACTRO_ORIGINALS_ACME" || one.Cloud != "acme" || time.Since(one.Time).Abs() > time.Hour || one.Died.IsZero() {
			t.Errorf("parked is %+v", one)
		}
		if strange := strings.HasSuffix(one.Object, "/4") || strings.HasSuffix(one.Object, "/5"); strange != (one.Broken != nil) {
			t.Errorf("%s is broken: %v", one.Object, one.Broken)
		}
	}
	for id, want := range map[string]Parked{
		"c-1": {Letter: true, DeadLetter: DeadLetter{Code: "refused", Reason: "nein"}},
		"c-2": {Outcome: events.Applied, DeadLetter: DeadLetter{Code: "applied", Status: 200}},
		"c-3": {Outcome: events.Rejected, DeadLetter: DeadLetter{Code: "refused", Reason: "nein", Status: 404}},
	} {
		got := byID[id+pendingName]
		if got.Letter != want.Letter || got.Outcome != want.Outcome || got.Code != want.Code || got.Reason != want.Reason || got.Status != want.Status ||
			got.Operation != "deleteTask" || got.Kind != DeadCommand || !strings.HasPrefix(got.Position, "FACTRO_COMMANDS_ACME:") {
			t.Errorf("%s is told as %+v", id, got)
		}
	}
	for n, f := range map[int]DeadFilter{1: {ID: "c-2"}, 2: {Code: "refused"}, 3: {Operation: "deleteTask"}, 4: {Limit: 4}, 0: {Since: time.Now().Add(time.Hour)}} {
		if all := list(t, client, f); len(all) != n {
			t.Errorf("%+v means %d, want %d", f, len(all), n)
		}
	}
	if err := client.Parked(t.Context(), "factro", DeadFilter{Cloud: "beta"}, nil); err == nil || !strings.Contains(err.Error(), "FACTRO_ORIGINALS_BETA: it does not exist") {
		t.Errorf("of a cloud without a store: %v", err)
	}
}

func originalStore(t testing.TB, out outside) jetstream.ObjectStore {
	t.Helper()
	store, err := out.js.ObjectStore(t.Context(), "FACTRO_ORIGINALS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// TestParkedByStrangers: whoever can write to the object store has no bridge publish to a subject of his choice, and what
// cannot be read holds up nothing behind it.
func TestParkedByStrangers(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	b, _ := impatientBus(t, srv)
	out := srv.outside(t)
	park(t, b, "0", &nats.Msg{Subject: refusedCommand, Data: []byte(`{"taskId":"1"}`)})
	park(t, b, "1", &nats.Msg{Subject: "factro.event.acme.task.1.TaskCreated", Data: []byte(`{}`)})
	park(t, b, "2", resultMsg(t, "c-2", events.Applied, `{}`))
	if _, err := originalStore(t, out).PutString(t.Context(), pendingName+"1a", "nonsense"); err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) error { return b.Recover(ctx, []string{"acme"}) })
	eventually(t, "the result is published", func() bool { return out.count("FACTRO_RESULTS_ACME") == 1 && out.parked() == 3 })
	if n, m := out.count("FACTRO_COMMANDS_ACME"), out.count("FACTRO_EVENTS_ACME"); n+m != 0 {
		t.Errorf("%d commands and %d events were published for a stranger", n, m)
	}
}

// TestNotRequeuedAlone: a command that nothing takes and behind which none waits stays where it is.
func TestNotRequeuedAlone(t *testing.T) {
	t.Parallel()
	srv := startBroker(t)
	out := srv.outside(t)
	noOriginals(t, out)
	run(t, srv.connect(t, quiet())) // makes the streams
	b, _ := impatientBus(t, srv, func(c *Config) { c.Manage = false; c.Carries = true })
	if _, err := out.js.CreateConsumer(t.Context(), b.cfg.Prefix.CommandStream("acme"), b.consumerConfig("acme")); err != nil {
		t.Fatal(err)
	}
	limited(t, out, "FACTRO_DEAD_ACME", 100)
	got := make(chan string, 1000)
	consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Position
		return Terminal(Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
	}})
	out.command("alone")
	for range 3 {
		if at := receive(t, got); at != "FACTRO_COMMANDS_ACME:1" {
			t.Fatalf("it comes from %s", at)
		}
	}
}
