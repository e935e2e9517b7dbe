package egress

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// from is a command with another source, or a plain command for "".
func from(source string, c events.Command) events.Command {
	c.Event = c.Event.Clone()
	if source == "" {
		c.Plain = true
		return c
	}
	c.Event.SetSource(source)
	return c
}

// atPosition is a command at another position in the stream.
func atPosition(position string, c events.Command) events.Command {
	c.Position = position
	return c
}

// ids are those of the published results, which the stream keeps once each.
func (d *fakeStores) ids() map[string]events.Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := map[string]events.Outcome{}
	for _, s := range d.sent {
		ids[s.id] = s.result.Outcome
	}
	return ids
}

// TestSourcesApart: commands with the same id from two sources, one of them possibly plain, are two commands, even with equal data.
func TestSourcesApart(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]events.Command{
		"equal data":   {create(), from("urn:other", create())},
		"other data":   {create(), from("urn:other", command("createTask", `{"title":"U","targetParentId":"p-1"}`))},
		"plain":        {create(), from("", create())},
		"plain before": {from("", create()), create()},
	} {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9"}`)))
		for range 2 { // and a redelivery of each
			for _, c := range pair {
				if err := r.do(c); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if got := r.Count("call POST"); got != 2 || len(r.stores.ledger) != 2 || len(r.stores.ids()) != 2 {
			t.Errorf("%s: %d calls, results %v: %s", name, got, r.stores.ids(), r)
		}
	}
}

// TestSameSource: commands with the same source and id are the same command, and other data is a mistake. That also holds for plain
// commands.
func TestSameSource(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"urn:test", ""} {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9"}`)))
		first := from(source, create())
		if err := r.do(first); err != nil {
			t.Error(err)
		}
		if err := r.do(atPosition("FACTRO_COMMANDS:18", first)); err != nil {
			t.Error(err)
		}
		other := from(source, command("createTask", `{"title":"U","targetParentId":"p-1"}`))
		wantTerminal(t, r.do(atPosition("FACTRO_COMMANDS:19", other)), "factro.dead.command.acme.task.createTask", events.CodeConflict)
		if r.Count("call POST") != 1 {
			t.Errorf("source %q: %s", source, r)
		}
	}
}

// TestDigest: each result has the digest of its data. A repeated result has the digest of the data that was carried out, even if an
// older bridge wrote it into the ledger. A conflict has the result of the earlier command.
func TestDigest(t *testing.T) {
	t.Parallel()
	mine := create()
	other := command("createTask", `{"title":"U","targetParentId":"p-1"}`)
	for name, withDigest := range map[string]bool{"of this bridge": true, "of an older one": false} {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9","secret":"x"}`)))
		_ = r.do(mine)
		if !withDigest {
			record := r.stores.ledger[ledgerEntry]
			var result events.Result
			if err := json.Unmarshal(record.Result, &result); err != nil || result.CommandDigest == "" {
				t.Fatalf("%s, %v", record.Result, err)
			}
			result.CommandDigest = ""
			var err error
			if record.Result, err = json.Marshal(result); err != nil {
				t.Fatal(err)
			}
			r.stores.ledger[ledgerEntry] = record
		}
		spelled := command("createTask", `{ "targetParentId":"p-1", "title":"\u0054" }`)
		_ = r.do(atPosition("FACTRO_COMMANDS:18", spelled))
		_ = r.do(atPosition("FACTRO_COMMANDS:19", other))
		if len(r.stores.sent) != 3 || r.Count("call POST") != 1 {
			t.Fatalf("%s: %s", name, r)
		}
		for i, want := range []events.Command{mine, mine, other} {
			if got := r.stores.sent[i].result.CommandDigest; got != identity.CommandDigest(want.Event.Data()) {
				t.Errorf("%s: the result %d has the digest %q", name, i, got)
			}
		}
		reason := r.stores.sent[2].result.Error
		if reason.Code != events.CodeConflict {
			t.Fatalf("%s: %v", name, reason)
		}
		if e := reason.Earlier; e == nil || e.Outcome != events.Applied || e.Resource.ID != "t-9" || e.Response != nil || !e.Omitted {
			t.Errorf("%s: the earlier result is %+v", name, e)
		}
	}
}

// TestRejectionsApart: each message that is rejected before any call has exactly one result, even if another message with the same
// id was rejected before.
func TestRejectionsApart(t *testing.T) {
	t.Parallel()
	late := func(data string) events.Command {
		return command("deleteTask", data, attr.ExpiryTime, "2020-01-01T00:00:00Z")
	}
	wrong := func(field string) events.Command { return command("deleteTask", `{"`+field+`":1}`) }
	none := func(operation string) events.Command { return command(operation, `{}`) }
	dry := func(title string) events.Command {
		return command("updateTask", `{"taskId":"t-1","title":"`+title+`"}`, attr.DryRun, true)
	}
	for name, pair := range map[string][2]events.Command{
		"two sources":        {wrong("a"), from("urn:other", wrong("a"))},
		"a source and plain": {wrong("a"), from("", wrong("a"))},
		"invalid":            {wrong("a"), atPosition("FACTRO_COMMANDS:18", wrong("b"))},
		"expired":            {late(`{"taskId":"a"}`), atPosition("FACTRO_COMMANDS:18", late(`{"taskId":"b"}`))},
		"unknown":            {none("flyTask"), atPosition("FACTRO_COMMANDS:18", none("flyTask"))},
		"dry run":            {dry("a"), atPosition("FACTRO_COMMANDS:18", dry("b"))},
		"plain":              {from("", wrong("a")), atPosition("FACTRO_COMMANDS:18", from("", wrong("b")))},
	} {
		r := newRig(t, apitest.Always(apitest.OK("{}")))
		for range 2 { // and a redelivery of each
			for _, c := range pair {
				_ = r.do(c)
			}
		}
		if got := r.stores.ids(); len(got) != 2 || r.Count("call") != 0 {
			t.Errorf("%s: results %v", name, got)
		}
	}
}

// TestUndeliverableApart: two messages with the same id that the broker gave up have two results.
func TestUndeliverableApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(apitest.OK("{}")))
	for _, c := range []events.Command{create(), create(), atPosition("FACTRO_COMMANDS:18", create()), from("urn:other", create())} {
		if err := r.w.Undeliverable(t.Context(), c, nil, context.DeadlineExceeded); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.stores.ids(); len(got) != 3 {
		t.Errorf("results %v", got)
	}
}

// TestOlderRecords: an older bridge has written the record. Its key is the id alone.
func TestOlderRecords(t *testing.T) {
	t.Parallel()
	const former = "acme c-1"
	result, err := json.Marshal(events.Result{Operation: "createTask", Outcome: events.Applied, Status: 200})
	if err != nil {
		t.Fatal(err)
	}
	printOf := func(c events.Command) string {
		j := &job{cmd: c}
		if reason := newRig(t, apitest.Always(apitest.OK("{}"))).w.prepare(j, nil); reason != nil {
			t.Fatal(reason)
		}
		return j.record.Fingerprint
	}
	other := func() events.Command { return command("createTask", `{"title":"U","targetParentId":"p-1"}`) }
	for name, test := range map[string]struct {
		record ledger.Record
		cmd    events.Command
		calls  int
		code   string
	}{
		"the command, finished":       {ledger.Record{Fingerprint: printOf(create()), Result: result}, create(), 0, ""},
		"its data, of another source": {ledger.Record{Fingerprint: printOf(create()), Result: result}, from("urn:other", create()), 0, ""},
		"other data":                  {ledger.Record{Fingerprint: printOf(create()), Result: result}, other(), 1, ""},
		"other data, plain":           {ledger.Record{Fingerprint: printOf(create()), Result: result}, from("", other()), 0, events.CodeConflict},
		"plain":                       {ledger.Record{Fingerprint: printOf(create()), Result: result}, from("", create()), 0, ""},
		"a plain command of today":    {ledger.Record{Fingerprint: printOf(create()), Result: result, Plain: true}, create(), 1, ""},
		"late": {
			ledger.Record{Fingerprint: printOf(create()), Result: result},
			command("createTask", `{"title":"T","targetParentId":"p-1"}`, attr.ExpiryTime, "2020-01-01T00:00:00Z"), 0, "",
		},
	} {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9"}`)))
		r.stores.ledger[former] = test.record
		verdict := r.do(test.cmd)
		outcome := events.Applied
		if test.code != "" {
			outcome = events.Rejected
		}
		if r.wantDone(verdict, outcome, test.code); r.Count("call POST") != test.calls {
			t.Errorf("%s: %s", name, r)
		}
		if _, known := r.stores.ledger[ledgerEntry]; known != (test.calls == 1) {
			t.Errorf("%s: the ledger has %v", name, r.stores.ledger)
		}
	}
}

// TestOlderUnfinished: an older bridge has begun a create and claimed its object. The command goes on under the old key, so that it
// adopts the object instead of making another one.
func TestOlderUnfinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UTC()
		made := `[{"id":"t-7","title":"T","creationDate":"` + began.Format("2006-01-02T15:04:05.000Z") + `"}]`
		r := newRig(t, func(req *http.Request, _ string) apitest.Reply {
			switch {
			case apitest.IsProbe(req):
				return apitest.OK("{}")
			case req.Method == http.MethodPost:
				return apitest.OK(`{"id":"t-8"}`)
			case req.URL.Path == "/api/core/packages/p-1":
				return apitest.OK(`{"projectId":"r-1"}`)
			}
			return apitest.OK(made)
		})
		j := &job{cmd: create()}
		if reason := r.w.prepare(j, nil); reason != nil {
			t.Fatal(reason)
		}
		r.stores.ledger["acme c-1"] = ledger.Record{Fingerprint: j.record.Fingerprint, StartedAt: began, CalledAt: began, Dated: began}
		r.stores.claims["acme task t-7"] = "c-1"
		s := r.wantDone(r.do(create()), events.Applied, "")
		if r.Count("call POST") != 0 || s.result.Resource.ID != "t-7" || r.stores.ledger["acme c-1"].Result == nil || len(r.stores.ledger) != 1 {
			t.Errorf("got %s, the ledger has %v: %s", s.event.Data(), r.stores.ledger, r)
		}
	})
}

// TestDryRunOfUsedID: a dry run is refused, like the command itself, if its source and id were used for other data.
func TestDryRunOfUsedID(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		title string
		code  string
	}{"the same data": {"T", ""}, "other data": {"U", events.CodeConflict}} {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9"}`)))
		r.wantDone(r.do(create()), events.Applied, "")
		r.stores.sent = nil
		outcome := events.Applied
		if test.code != "" {
			outcome = events.Rejected
		}
		verdict := r.do(command("createTask", `{"title":"`+test.title+`","targetParentId":"p-1"}`, attr.DryRun, true))
		if r.wantDone(verdict, outcome, test.code); r.Count("call POST") != 1 {
			t.Errorf("%s: %s", name, r)
		}
	}
}
