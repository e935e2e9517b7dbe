package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	refusedCommand = "factro.command.acme.task.deleteTask"
	refusedLetter  = "factro.dead.command.acme.task.deleteTask"
)

// refuser is a worker that ends each command as a dead letter, and passes on what it got.
func refuser() (worker, <-chan string) {
	got := make(chan string, 1000)
	return worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Event.ID()
		return Terminal(deadletter.Letter{Subject: refusedLetter, Code: "refused", Reason: errors.New("nein")})
	}}, got
}

// patient has a connection wait for the broker: with the intervals that tests use otherwise, a busy machine is enough for bad health.
var patient = bus.Timing{Heartbeat: delivery.Heartbeat, CheckTimeout: natstest.Patience}

// sample asks for the health until the test ends, and wants it to be good. The connection has to be [patient].
func sample(t testing.TB, b *bus.Conn) {
	t.Helper()
	var asked atomic.Int64
	bustest.Start(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if h := b.Health().Report(); h != (health.Report{}) {
				return fmt.Errorf("after %d looks the health is %+v", asked.Load(), h)
			}
			asked.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
		return nil
	})
}

// noOriginals has the object store for originals refuse all that is put into it.
func noOriginals(t testing.TB, out bustest.Outside) {
	t.Helper()
	_, err := out.JS.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "OBJ_FACTRO_ORIGINALS_ACME", Subjects: []string{"$O.FACTRO_ORIGINALS_ACME.>"}, MaxMsgSize: 10, AllowDirect: true, AllowRollup: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefusedLetters: whatever a sender writes into a command, its dead letter is stored, the original is kept and can be
// sent again as it was, the next command comes, and the health is good throughout.
func TestRefusedLetters(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 256 << 10 })
	b := bustest.Run(t, bustest.ConnectWith(t, srv, bustest.Quiet(), patient))
	out := bustest.Connected(t, srv)
	sample(t, b)
	client := bustest.Client(t, srv)
	w, got := refuser()
	consume(t, b, w)
	junk := func(n int) nats.Header { return nats.Header{"X-Junk": {strings.Repeat("j", n)}} }
	many := nats.Header{}
	for i := range 3265 {
		many[fmt.Sprintf("X-%04d", i)] = []string{"0123456789"}
	}
	attributes := nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {"c-1"}, "ce-source": {"urn:x"}, "ce-type": {"com.factro.command.deleteTask"},
		"ce-huge": {strings.Repeat("h", 65_000)},
	}
	correlated := maps.Clone(attributes)
	delete(correlated, "ce-huge")
	correlated["ce-correlationid"] = []string{strings.Repeat("k", 65_000)}
	binary := nats.Header{"X-Bytes": {"\xff\xfe" + strings.Repeat("ü", 32_600)}}
	n := 0
	for name, m := range map[string]*nats.Msg{
		"junk":                {Header: junk(65_300), Data: []byte("{}")},
		"junk to the limit":   {Header: junk(natserr.MaxHeader - natserr.HeaderSize(junk(0))), Data: []byte("{}")},
		"junk without data":   {Header: junk(65_300)},
		"many":                {Header: many, Data: []byte("{}")},
		"an extension":        {Header: attributes, Data: []byte(`{"taskId":"1"}`)},
		"a correlationid":     {Header: correlated, Data: []byte(`{"taskId":"1"}`)},
		"no text":             {Header: binary, Data: []byte("{}")},
		"data near the limit": {Header: junk(10), Data: []byte(strings.Repeat(" ", 256<<10-400) + "{}")},
		"both near the limit": {Header: junk(65_300), Data: []byte(strings.Repeat(" ", 190<<10) + "{}")},
		"a long subject":      {Header: junk(65_300), Subject: refusedCommand + "." + strings.Repeat("s.", 1500) + "s"},
	} {
		if m.Subject == "" {
			m.Subject = refusedCommand
		}
		sent := maps.Clone(m.Header)
		out.Publish(m)
		natstest.Receive(t, got)
		n++
		natstest.Eventually(t, name+" is buried", func() bool {
			return out.Count("FACTRO_DEAD_ACME") == uint64(n) && out.Count("FACTRO_COMMANDS_ACME") == 0
		})
		l, err := deadletter.Get(t.Context(), client, "factro", "acme", uint64(n))
		if err != nil {
			t.Fatal(err)
		}
		if l.Code != "refused" || l.Reason != "nein" || l.Position == "" || l.Original == "" || !l.Partial || l.Kept == "" {
			t.Errorf("%s: the letter is %.2000v", name, l)
		}
		whole, err := deadletter.Original(t.Context(), client, "factro", l)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if have := whole.OriginalHeader(); string(whole.Data) != string(m.Data) || !maps.EqualFunc(have, sent, func(a, b []string) bool { return a[0] == b[0] }) {
			t.Errorf("%s: the original has %d headers and %d bytes, want %d and %d", name, len(have), len(whole.Data), len(sent), len(m.Data))
		}
		if whole.Partial || whole.Code != "refused" {
			t.Errorf("%s: the whole letter is %+v", name, whole)
		}
		if m.Subject != refusedCommand {
			continue // nobody sends that again
		}
		again, err := deadletter.NewRedrive("factro", whole, nil, time.Now())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := again.Send(t.Context(), client, "factro"); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		natstest.Receive(t, got)
		n++
		natstest.Eventually(t, name+" is buried again", func() bool {
			return out.Count("FACTRO_DEAD_ACME") == uint64(n) && out.Count("FACTRO_COMMANDS_ACME") == 0
		})
	}
}

// TestLetterWithoutOriginal: where the object store does not take the original either, a part of it is kept, and that is
// said.
func TestLetterWithoutOriginal(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	log, book := bustest.NewLog()
	out := bustest.Connected(t, srv)
	noOriginals(t, out)
	makeLeases(t, bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))) // and the streams
	b := bustest.Run(t, bustest.Connect(t, srv, log, func(c *bus.Config) { c.Manage = false; c.Carries = true }))
	w, _ := refuser()
	if _, err := out.JS.CreateConsumer(t.Context(), b.Settings().Prefix.CommandStream("acme"), b.Settings().Plan().Consumer("acme", 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	consumeWith(t, b, log, w)
	out.Publish(&nats.Msg{Subject: refusedCommand, Header: nats.Header{"X-Junk": {strings.Repeat("j", 65_300)}, "X-Own": {"kept"}}, Data: []byte("{}")})
	natstest.Eventually(t, "it is buried", func() bool { return out.Count("FACTRO_DEAD_ACME") == 1 && out.Count("FACTRO_COMMANDS_ACME") == 0 })
	dead := out.Last("FACTRO_DEAD_ACME")
	if dead.Header.Get("Factro-Dead-Original") != "" || dead.Header.Get("X-Own") != "kept" || dead.Header.Get("Factro-Dead-Cut") != "2" {
		t.Errorf("the letter is %v", dead.Header)
	}
	if book.Count("only a part of it is kept") != 1 {
		t.Error("nobody said so")
	}
}

// TestBareLetter: where not even the beginning of the original is taken, the letter says why it died and where the rest is.
func TestBareLetter(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, srv, bustest.Quiet()))
	out := bustest.Connected(t, srv)
	out.Limit("FACTRO_DEAD_ACME", 1200)
	w, _ := refuser()
	consume(t, b, w)
	data := strings.Repeat(" ", 10<<10) + `{"taskId":"1"}`
	out.Publish(&nats.Msg{Subject: refusedCommand, Header: nats.Header{"Nats-Msg-Id": {"c-1"}}, Data: []byte(data)})
	natstest.Eventually(t, "it is buried", func() bool { return out.Count("FACTRO_DEAD_ACME") == 1 && out.Count("FACTRO_COMMANDS_ACME") == 0 })
	client := bustest.Client(t, srv)
	l, err := deadletter.Get(t.Context(), client, "factro", "acme", 1)
	if err != nil || len(l.Data) != 0 || l.Size != len(data) || l.Code != "refused" || l.Reason != "nein" || l.Position == "" || l.Original != refusedCommand || l.ID != "c-1" {
		t.Fatalf("the letter is %+v, %v", l, err)
	}
	if _, err := deadletter.NewRedrive("factro", l, nil, time.Now()); !errors.Is(err, deadletter.ErrNotRedrivable) {
		t.Errorf("a letter without its original can be sent again: %v", err)
	}
	whole, err := deadletter.Original(t.Context(), client, "factro", l)
	if err != nil || string(whole.Data) != data || whole.ID != "c-1" {
		t.Errorf("the original is %+v, %v", whole, err)
	}
}
