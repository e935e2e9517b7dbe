package deadletter

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// died returns a letter about a command that came on a subject.
func died(original string, header nats.Header) Entry {
	h := nats.Header{}
	maps.Copy(h, header)
	if id := h.Get(events.HeaderMessageID); id != "" {
		h[topology.HeaderDeadMessageID] = []string{id}
	}
	delete(h, events.HeaderMessageID)
	h[topology.HeaderDeadSubject] = []string{original}
	h[topology.HeaderDeadCode] = []string{events.CodeAmbiguous}
	h[topology.HeaderDeadPosition] = []string{"FACTRO_COMMANDS:7"}
	m := journal.NewMessage("factro.dead.command.acme.task.createTask", h, []byte(`{"title":"T"}`), time.Unix(1, 2))
	return newEntry("factro", 17, m)
}

// TestRedriveIsTheSameCommand: it goes to the subject that senders have no right to, and has the identity that it had: so does
// one that has died before after it was sent once more.
func TestRedriveIsTheSameCommand(t *testing.T) {
	t.Parallel()
	const p, original = events.Prefix("factro"), "factro.command.acme.task.createTask"
	for name, header := range map[string]nats.Header{
		"CloudEvent": {
			"ce-specversion": {"1.0"}, "ce-id": {"c-1"}, "ce-source": {"urn:billing"}, "ce-type": {"com.factro.command.createTask"},
			events.HeaderRedrive: {"3"}, events.HeaderMessageID: {"m-1"}, // a forged one, for which it was rejected
		},
		"plain":                      {events.HeaderMessageID: {"m-1"}},
		"plain, without any id":      {},
		"plain, sent with a forgery": {events.HeaderRedrive: {"3"}},
	} {
		l := died(original, header)
		first, _ := p.DecodeCommand(original, l.OriginalHeader(), l.Data, l.Position)
		for range 2 {
			r, err := NewRedrive(p, l, nil, time.Now())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if r.Subject != "factro.redrive.acme.task.createTask" || r.msg.Subject != r.Subject || r.Source != first.Source() || r.ID != first.Event.ID() {
				t.Errorf("%s: %+v", name, r)
			}
			cmd, err := p.DecodeCommand(r.msg.Subject, r.msg.Header, r.msg.Data, "FACTRO_COMMANDS:8")
			if err != nil || cmd.Redrive != "17" || cmd.Identity() != first.Identity() || cmd.Address != first.Address {
				t.Errorf("%s: %+v, %v; want the identity %q", name, cmd, err, first.Identity())
			}
			l = died(r.Subject, r.msg.Header) // and again
		}
	}
}

// TestChangedIsACommand: with other data it goes where commands go, with no word of the letter, also after it has died on the
// other subject.
func TestChangedIsACommand(t *testing.T) {
	t.Parallel()
	const p = events.Prefix("factro")
	for _, original := range []string{"factro.command.acme.task.createTask", "factro.redrive.acme.task.createTask"} {
		l := died(original, nats.Header{
			"ce-specversion": {"1.0"}, "ce-id": {"c-1"}, "ce-source": {"urn:billing"}, "ce-type": {"com.factro.command.createTask"},
			events.HeaderRedrive: {"3"},
		})
		r, err := NewRedrive(p, l, []byte(`{"title":"U"}`), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		cmd, err := p.DecodeCommand(r.msg.Subject, r.msg.Header, r.msg.Data, "FACTRO_COMMANDS:8")
		if err != nil || cmd.Redrive != "" || r.msg.Header.Get("Factro-Replaces") != strconv.FormatUint(l.Sequence, 10) || r.Subject != "factro.command.acme.task.createTask" || cmd.Event.ID() != r.ID || cmd.Event.ID() == "c-1" ||
			cmd.Source() != "urn:billing" || !strings.HasSuffix(r.msg.Header.Get(events.HeaderMessageID), identity.SourceDigest("urn:billing")) {
			t.Errorf("%s: %+v, %v", original, r, err)
		}
	}
}

// TestRedriveStaysOnItsSubjects: who can write letters shall not have an operator publish to a subject of his choice.
func TestRedriveStaysOnItsSubjects(t *testing.T) {
	t.Parallel()
	for _, original := range []string{"", "factro.event.acme.task.1.A", "$JS.API.STREAM.PURGE.FACTRO_EVENTS", "factro.redrive.acme.task", "other.redrive.acme.task.createTask"} {
		l := died(original, nats.Header{})
		if r, err := NewRedrive("factro", l, nil, time.Now()); err == nil {
			t.Errorf("%q: %+v", original, r)
		}
	}
}

// TestChangedTwice: a dead letter that is changed twice in the same way becomes one command.
func TestChangedTwice(t *testing.T) {
	t.Parallel()
	l := Entry{
		Message: journal.Message{Subject: "factro.dead.command.acme.task.createTask", Data: []byte(`{}`), Time: time.Unix(1, 2)}, Sequence: 3,
		Kind: Command, Original: "factro.command.acme.task.createTask",
	}
	id := func(data string) string {
		t.Helper()
		r, err := NewRedrive("factro", l, []byte(data), time.Now())
		if err != nil || r.msg.Header.Get(events.HeaderMessageID) != r.ID {
			t.Fatalf("%+v, %v", r, err)
		}
		return r.ID
	}
	if one := id(`{"title":"ä"}`); one != id(`{"title":"ä"}`) || one == id(`{"title":"ö"}`) {
		t.Errorf("the id is %s", one)
	}
}
