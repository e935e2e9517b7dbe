package record_test

import (
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/record"
)

// TestUnpack: what comes from the disk is what was written, whatever the prefix was then, without the headers of the spool and of
// the disk's server.
func TestUnpack(t *testing.T) {
	t.Parallel()
	const id = "acme.größe 1"
	for _, test := range []struct {
		subject, entity string
		event           bool
		tried           bool
		old             uint64
		suspect         bool
	}{
		{subject: "factro.event.acme.task.1.TaskCreated", entity: "acme.task.1", event: true},
		{subject: "earlier.event.acme.task.1.TaskCreated", entity: "acme.task.1", event: true, tried: true, suspect: true},
		{subject: "factro.dead.webhook.acme", old: 6},
		{subject: "factro.dead.webhook.acme", old: 7, suspect: true},
	} {
		msg := &nats.Msg{Subject: test.subject, Header: nats.Header{"ce-id": {"1"}}, Data: []byte("{}")}
		before := maps.Clone(msg.Header)
		packed := record.Pack(msg, "acme", id, test.tried)
		if len(msg.Header) != len(before) {
			t.Errorf("the message itself has the headers %v", msg.Header)
		}
		packed.Header["Nats-Time-Stamp"] = []string{"now"}
		at := time.Unix(1, 2)
		got := record.Unpack(&jetstream.RawStreamMsg{Subject: packed.Subject, Sequence: 7, Header: packed.Header, Data: packed.Data, Time: at}, test.old)
		if got.Msg.Subject != test.subject || string(got.Msg.Data) != "{}" || len(got.Msg.Header) != 1 || got.Msg.Header["ce-id"][0] != "1" {
			t.Errorf("the message is %+v", got.Msg)
		}
		if got.ID != id || got.Sequence != 7 || got.Stored != at || got.Event != test.event || got.Entity != test.entity || got.Suspect != test.suspect {
			t.Errorf("of %+v the record is %+v", test, got)
		}
	}
}
