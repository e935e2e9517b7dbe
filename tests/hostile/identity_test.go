package hostile

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// as is a command of a source under a message id of its own, so that the stream takes it whatever it took before.
func as(source, messageID string, c command) command {
	c.source = source
	header := map[string][]string{events.HeaderMessageID: {messageID}}
	maps.Copy(header, c.header)
	c.header = header
	return c
}

// causedBy are the ids of the stored results, by the id of the command.
func (w *world) causedBy(cloud string) map[string][]string {
	w.t.Helper()
	ids := map[string][]string{}
	must(w.t, w.each(w.ctx, string(prefix)+".result."+cloud+".>", func(_ string, header nats.Header) {
		cause := header.Get("ce-" + attr.CausationID)
		ids[cause] = append(ids[cause], header.Get("ce-id"))
	}))
	return ids
}

// Whoever may send commands for a cloud uses the ids that other senders of that cloud use, before them.
func TestIDsOfOtherSenders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a sender uses the ids of other senders of its cloud", setting{})
	task := func(title string) string {
		return fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, title, factro.ExamplePackage)
	}
	for i := range scale(5, 100) {
		id := fmt.Sprintf("inv-%d", i)
		theirs, ours := "attack "+id, "invoice "+id
		equal := []command{
			as("urn:attacker", "a-"+id, command{cloud: acme, id: id, data: task(ours)}),
			as("", "p-"+id, command{cloud: acme, id: "p-" + id, data: task(ours)}),
			as("urn:billing", "b-"+id, command{cloud: acme, id: id, data: task(ours)}),
		}
		for _, c := range equal {
			if r := w.result(w.send(c)); r.outcome != events.Applied {
				t.Errorf("%q of %q: %s: %s", c.id, c.source, r.outcome, r.data)
			}
		}
		if n := w.factro[acme].tasks(ours); n != len(equal) {
			t.Errorf("%d commands with equal data made %d tasks", len(equal), n)
		}
		other := "other-" + id
		for _, c := range []command{
			as("urn:attacker", "oa-"+id, command{cloud: acme, id: other, data: task(theirs)}),
			as("urn:billing", "ob-"+id, command{cloud: acme, id: other, data: task("other " + ours)}),
		} {
			if r := w.result(w.send(c)); r.outcome != events.Applied {
				t.Errorf("%q of %q: %s: %s", c.id, c.source, r.outcome, r.data)
			}
		}
		// Sent once more it is known, and is not carried out again.
		w.send(as("urn:billing", "again-"+id, command{cloud: acme, id: id, data: task(ours)}))
		w.workedOff(acme)
		if n := w.factro[acme].tasks(ours); n != len(equal) {
			t.Errorf("sent once more a command was carried out once more: %d tasks", n)
		}
	}
	w.aftermath(beta, acme)
}

// Of commands that are rejected before anything is called each sender hears, whoever else used the id.
func TestRejectionsOfOneID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a sender has ids of other senders rejected before them", setting{})
	for i := range scale(3, 100) {
		id := fmt.Sprintf("bad-%d", i)
		for n, c := range []command{
			{source: "urn:attacker", data: `{"x":1}`},
			{source: "urn:billing", data: `{"x":1}`},
			{source: "urn:billing", data: `{"y":1}`}, // of one sender, with other data
			{source: "urn:billing", data: `{"y":1}`}, // and another message that is the same
		} {
			c.cloud, c.id = acme, id
			w.send(as(c.source, fmt.Sprintf("%s-%d", id, n), c))
		}
	}
	w.workedOff(acme)
	for id, results := range w.causedBy(acme) {
		if strings.HasPrefix(id, "bad-") && len(results) != 4 {
			t.Errorf("the results of four commands with the id %s are %q", id, results)
		}
	}
	w.aftermath(beta, acme)
}

// Whoever may send commands for one cloud uses the ids, and the message ids, that another cloud's senders use.
func TestIDsOfAnotherCloud(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a sender of acme uses the ids of beta's senders before them", setting{})
	for i := range scale(5, 100) {
		id := fmt.Sprintf("inv-%d", i)
		for _, source := range []string{"", "urn:billing"} {
			messageID := id + source
			w.send(as(source, messageID, command{cloud: acme, id: id + source}))
			c, ack, err := w.publish(as(source, messageID, command{cloud: beta, id: id + source}))
			must(t, err)
			if ack.Duplicate {
				t.Fatalf("the command %s of beta is taken for one of acme", c.id)
			}
			if r := w.result(c); r.outcome != events.Applied || w.factro[beta].tasks(c.id) != 1 {
				t.Errorf("the command %s of beta is %s: %s", c.id, r.outcome, r.data)
			}
		}
	}
	w.aftermath(beta, acme)
}

// Whoever may send commands says that an operator has decided about one of which nobody knows whether it happened.
func TestForgedRedrive(t *testing.T) {
	t.Parallel()
	var creates atomic.Int64
	w := newWorld(t, "a sender pretends that an operator sends a dead letter once more", setting{core: map[string]func(http.Handler) http.Handler{
		acme: func(core http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPost:
					creates.Add(1)
					panic(http.ErrAbortHandler) // no answer
				case !strings.HasSuffix(r.URL.Path, "/quota"): // and nobody may look
					http.Error(rw, "no", http.StatusForbidden)
				default:
					core.ServeHTTP(rw, r)
				}
			})
		},
	}})
	create := command{cloud: acme, id: "doubtful"}
	if r := w.result(w.send(as("urn:billing", "first", create))); r.outcome != events.Dead || !strings.Contains(string(r.data), events.CodeAmbiguous) {
		t.Fatalf("it is %s: %s", r.outcome, r.data)
	}
	letters := func() (sequences []string) {
		must(t, w.eachLetter(func(sequence, code string) {
			if code == events.CodeAmbiguous {
				sequences = append(sequences, sequence)
			}
		}))
		return sequences
	}
	first := letters()
	if len(first) != 1 || creates.Load() != 1 {
		t.Fatalf("%d calls, letters %v", creates.Load(), first)
	}
	for n, name := range []string{events.HeaderRedrive, "factro-redrive", "FACTRO-REDRIVE"} {
		forged := create
		forged.header = map[string][]string{name: first}
		w.send(as("urn:billing", fmt.Sprintf("forged-%d", n), forged))
	}
	forged := command{cloud: acme, id: "plain", header: map[string][]string{events.HeaderRedrive: first}}
	if r := w.result(w.send(forged)); r.outcome != events.Rejected || !strings.Contains(string(r.data), "only an operator") {
		t.Errorf("forged, it is %s: %s", r.outcome, r.data)
	}
	if n := creates.Load(); n != 1 {
		t.Errorf("by a forged word it was called %d times", n)
	}
	// The operator's own word counts, and so does the next one, about the dead letter of what has died once more.
	for n := range 2 {
		have := letters()
		out, err := exec.CommandContext(w.ctx, *binary, "dead", "redrive", acme+"/"+have[len(have)-1], "--wait", "--nats", "nats://"+w.natsAddress).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 4 {
			t.Fatalf("redrive %d: %v\n%s", n, err, out)
		}
		if got := creates.Load(); got != int64(n+2) {
			t.Errorf("redrive %d: called %d times\n%s", n, got, out)
		}
	}
	w.aftermath(beta)
}

// eachLetter hands over the sequences and codes of the dead letters of acme.
func (w *world) eachLetter(take func(sequence, code string)) error {
	name, err := w.streamOf(string(prefix) + ".dead.command." + acme + ".task.createTask")
	if err != nil {
		return err
	}
	stream, err := w.js.Stream(w.ctx, name)
	if err != nil {
		return err
	}
	for n := stream.CachedInfo().State.FirstSeq; n <= stream.CachedInfo().State.LastSeq; n++ {
		if m, err := stream.GetMsg(w.ctx, n); err == nil { // else it was sent once more
			take(fmt.Sprint(n), m.Header.Get(events.HeaderDeadCode))
		}
	}
	return nil
}

// Whoever may send commands, or ask queries, names a subject for the answer, where the bridge would publish with its own
// rights.
func TestReplySubjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a sender has results and answers sent to subjects of its choice", setting{natsMore: `reply_prefixes: [replies.acme]`})
	dangerous := []string{
		"$JS.API.STREAM.PURGE.FACTRO_EVENTS", "$JS.API.STREAM.DELETE.FACTRO_RESULTS", "$KV.FACTRO_LEDGER.beta.x", "$O.FACTRO_FILES.C.x", "$SRV.STOP",
		"$SYS.REQ.SERVER.PING", "factro.command.beta.task.deleteTask", "factro.redrive.beta.task.createTask", "factro.event.beta.task.1.TaskDeleted",
		"factro.result.beta.task.createTask.applied", "factro.dead.webhook.beta", "other.factro.command.beta", "billing.orders", "replies.beta.x", "replies.acmex.x",
		"_INBOX", "_R_.abc.1", "_INBOXES.x",
	}
	var mu sync.Mutex
	strayed, copied := map[string]bool{}, map[string]bool{}
	_, err := w.nc.Subscribe(">", func(m *nats.Msg) {
		cause := m.Header.Get("ce-" + attr.CausationID)
		mu.Lock()
		defer mu.Unlock()
		for i, subject := range dangerous {
			if m.Subject == subject && (cause == fmt.Sprintf("reply-%d", i) || cause == "" && strings.Contains(string(m.Data), "quota")) {
				strayed[subject] = true
			}
		}
		if m.Subject == "_INBOX.attacker.1" || m.Subject == "replies.acme.1" {
			copied[m.Subject] = true
		}
	})
	must(t, err)
	must(t, w.nc.Flush())
	rounds := scale(1, 100)
	for n := range rounds {
		for i, subject := range dangerous {
			w.send(command{cloud: acme, id: fmt.Sprintf("reply-%d", i), header: map[string][]string{
				events.HeaderReplyTo: {subject}, events.HeaderMessageID: {fmt.Sprintf("reply-%d-%d", i, n)},
				"ce-specversion": {"1.0"}, "ce-id": {fmt.Sprintf("reply-%d", i)}, "ce-source": {"urn:attacker"}, "ce-type": {"com.factro.command.createTask"},
			}, source: "urn:attacker"})
			_ = w.nc.PublishMsg(&nats.Msg{Subject: prefix.Query(acme, "user", "getUserQuota"), Reply: subject, Data: []byte(`{}`)})
		}
	}
	for _, subject := range []string{"_INBOX.attacker.1", "replies.acme.1"} {
		w.result(w.send(command{cloud: acme, header: map[string][]string{events.HeaderReplyTo: {subject}}}))
		w.await("the copy on "+subject, func() bool { mu.Lock(); defer mu.Unlock(); return copied[subject] })
	}
	if _, err := w.query(acme, "user", "getUserQuota", "{}", w.set.bound); err != nil { // the queries before are through
		t.Error(err)
	}
	mu.Lock()
	for subject := range strayed {
		t.Errorf("the bridge published to %s", subject)
	}
	mu.Unlock()
	if n, there := w.bridges[0].metric("factro_bridge_replies_refused_total", `factro_cloud="acme"`, `to="command"`); int(n) < len(dangerous)*rounds || !there {
		t.Errorf("factro_bridge_replies_refused_total is %v", n)
	}
	if n := strings.Count(w.bridges[0].Words(), "reply subject is neither"); n == 0 || n > 4 {
		t.Errorf("the log warns %d times", n)
	}
	w.aftermath(beta, acme)
}
