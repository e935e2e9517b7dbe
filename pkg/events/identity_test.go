package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// TestIdentity: each of these is a command of its own.
func TestIdentity(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, header := range map[string]nats.Header{
		"one":                 commandHeader("ce-source", "urn:a", "ce-id", "b"),
		"another source":      commandHeader("ce-source", "urn:a:b", "ce-id", "b"),
		"another id":          commandHeader("ce-source", "urn:a", "ce-id", "c"),
		"moved from the id":   commandHeader("ce-source", "urn:a:x", "ce-id", "b"),
		"moved from a source": commandHeader("ce-source", "urn:a", "ce-id", "x:b"),
		"with a line":         commandHeader("ce-source", "urn:a", "ce-id", "%0Ab"),
		"plain":               {"Nats-Msg-Id": {"b"}},
		"plain like one":      {"Nats-Msg-Id": {"urn:ab"}},
		"plain with a colon":  {"Nats-Msg-Id": {"urn:a:b"}},
		"plain with a line":   {"Nats-Msg-Id": {"urn:a\nb"}},
		"plain with a blank":  {"Nats-Msg-Id": {"urn:a b"}},
		"plain by its place":  {},
	} {
		c, err := prefix.DecodeCommand(createTask, header, []byte(`{}`), position)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, known := seen[c.Identity()]; known {
			t.Errorf("%s is taken for %s: %q", name, other, c.Identity())
		}
		seen[c.Identity()] = name
		if plain := strings.HasPrefix(name, "plain"); c.Plain != plain || plain && (c.Identity() != c.Event.ID() || c.Source() != "") {
			t.Errorf("%s: %+v is %q", name, c, c.Identity())
		}
	}
	// Whoever writes out what a plain command is given has sent the plain command.
	c, err := prefix.DecodeCommand(createTask, commandHeader("ce-source", "urn:nats:"+createTask, "ce-id", "b"), nil, position)
	if err != nil || c.Identity() != "b" {
		t.Errorf("got %q, %v", c.Identity(), err)
	}
}

// TestDecodeRedrive: the word of an operator is believed where only operators may publish.
func TestDecodeRedrive(t *testing.T) {
	t.Parallel()
	const again = "factro.redrive.acme.task.createTask"
	for name, tt := range map[string]struct {
		subject string
		header  nats.Header
		redrive string
		want    string // the mistake, or ""
	}{
		"sent once more":            {again, commandHeader(events.HeaderRedrive, "17"), "17", ""},
		"plain":                     {again, nats.Header{events.HeaderRedrive: {"17"}}, "17", ""},
		"no header":                 {again, commandHeader(), "", "header Factro-Redrive is missing, want the sequence"},
		"no sequence":               {again, commandHeader(events.HeaderRedrive, "x"), "", `header Factro-Redrive is "x", want the sequence`},
		"two":                       {again, nats.Header{events.HeaderRedrive: {"1", "2"}}, "", "want the sequence"},
		"a sender's":                {createTask, commandHeader(events.HeaderRedrive, "17"), "", "header Factro-Redrive is on the subject of a command"},
		"a sender's, in small":      {createTask, commandHeader("factro-redrive", "17"), "", "header Factro-Redrive is on the subject of a command"},
		"a sender's, empty":         {createTask, commandHeader(events.HeaderRedrive, ""), "", "header Factro-Redrive is on the subject of a command"},
		"a sender's, plain":         {createTask, nats.Header{events.HeaderRedrive: {"17"}}, "", "header Factro-Redrive is on the subject of a command"},
		"a subject that is neither": {"factro.redrive.acme.createTask", commandHeader(events.HeaderRedrive, "17"), "", "subject"},
		"the type of another":       {again, commandHeader(events.HeaderRedrive, "17", "ce-type", "x"), "17", "attribute type"},
	} {
		c, err := prefix.DecodeCommand(tt.subject, tt.header, []byte(`{}`), position)
		if c.Redrive != tt.redrive || (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %q, %v", name, c.Redrive, err)
		}
		if _, isCommand := prefix.ParseCommand(tt.subject); tt.want == "" && (c.Operation != "createTask" || isCommand == nil) {
			t.Errorf("%s: %+v", name, c.Address)
		}
	}
	if a, err := prefix.ParseRedrive(prefix.Redrive("acme", "task", "createTask")); err != nil || prefix.Command(a.Cloud, a.Resource, a.Operation) != createTask {
		t.Errorf("got %+v, %v", a, err)
	}
}

// TestDoSources: two senders use one id. Each of their commands is carried out and each hears of its own, by a copy or from
// the stream, also if it asks again.
func TestDoSources(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]bool{"copies": false, "stream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeBridge{b: startBroker(t), loseCopies: lose, work: func(c events.Command) []events.Result {
				return []events.Result{applied(map[string]string{"id": c.Source()})}
			}}
			f.play(t)
			c := events.NewClient(f.b.js, "acme")
			c.SetPatience(time.Millisecond)
			for range 2 {
				for _, source := range []string{"urn:a", "URN:a%20b", "https://example.com/ü?x=1#y"} {
					r, err := c.Do(t.Context(), setState, events.WithID("inv-1"), events.WithSource(source))
					if err != nil || !strings.Contains(strings.ToLower(string(r.Response)), strings.ToLower(source[:5])) {
						t.Errorf("%s: got %s, %v", source, r.Response, err)
					}
				}
			}
			if n := len(f.commands()); n != 3 {
				t.Errorf("%d commands, want one of each source", n)
			}
		})
	}
}

// TestDoEarlierBridge: its results tell the id of the command only.
func TestDoEarlierBridge(t *testing.T) {
	t.Parallel()
	f := &fakeBridge{b: startBroker(t), older: true, work: always(applied(nil))}
	f.play(t)
	for range 2 {
		if _, err := events.NewClient(f.b.js, "acme").Do(t.Context(), setState, events.WithID("c")); err != nil {
			t.Error(err)
		}
	}
}

// TestDoMessageIDTaken: somebody who may send commands to the cloud has used the message id that ours would have, so the
// stream takes ours for a repetition of his. His result is not ours, and ours was not sent.
func TestDoMessageIDTaken(t *testing.T) {
	t.Parallel()
	taken := "inv-1%source." + identity.SourceDigest("urn:victim")
	for name, m := range map[string]*nats.Msg{
		"plain": {Subject: prefix.Command("acme", "task", "setTaskState"), Data: []byte(`{"taskId":"1","state":"review"}`)},
		"another source": {Subject: prefix.Command("acme", "task", "setTaskState"), Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-id": {"inv-1"}, "ce-source": {"urn:attacker"}, "ce-type": {"com.factro.command.setTaskState"},
		}},
		"another operation": {Subject: prefix.Command("acme", "task", "deleteTask"), Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-id": {"x"}, "ce-source": {"urn:attacker"}, "ce-type": {"com.factro.command.deleteTask"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := client(t, always(applied(nil)))
			if m.Header == nil {
				m.Header = nats.Header{}
			}
			m.Header[events.HeaderMessageID] = []string{taken}
			f.b.store(t, m)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r, err := c.Do(ctx, setState, events.WithID("inv-1"), events.WithSource("urn:victim"))
			if !contains(err, "command not sent: its message id was used before by another command") || r.Outcome != "" {
				t.Errorf("got %+v, %v", r, err)
			}
			if _, pending := errors.AsType[*events.PendingError](err); pending {
				t.Errorf("said to be pending: %v", err)
			}
			sent, err := c.Send(t.Context(), setState, events.WithID("inv-1"), events.WithSource("urn:victim"))
			if !contains(err, "command not sent: its message id was used before by another command") || !sent.Duplicate {
				t.Errorf("sent: %+v, %v", sent, err)
			}
			if _, err := c.Do(t.Context(), setState, events.WithID("inv-1"), events.WithSource("urn:other")); err != nil {
				t.Errorf("another source: %v", err)
			}
		})
	}
}

// TestPendingDuplicate: the stream has the message id of somebody, who has no result yet.
func TestPendingDuplicate(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, f := client(t, func(events.Command) []events.Result { cancel(); return nil })
	_, _ = c.Do(ctx, setState, events.WithID("c"))
	<-ctx.Done()
	if n := len(f.commands()); n > 1 {
		t.Errorf("%d commands", n)
	}
	again, cancelAgain := context.WithCancel(t.Context())
	_, err := c.Do(again, setState, events.WithID("c"), events.OnStatus(func(status.Status, error) { cancelAgain() })) // after the stream's word
	p, ok := errors.AsType[*events.PendingError](err)
	if !ok || !p.Duplicate || !contains(err, "the stream has its message id already") {
		t.Errorf("got %v", err)
	}
}
