package hostile

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Without an attack all is well, however the bridges are set up: else a row proves nothing.
func TestNoAttack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "none; two processes, NATS inside one of them", setting{
		embedded: true, files: 256, env: []string{"GOMEMLIMIT=200MiB"}, spool: true, httpMore: "store_timeout: 4s",
		roles: []string{"ingress", "egress, query"},
	})
	if _, err := w.query(beta, "user", "getUserQuota", "{}", 10*time.Second); err != nil {
		t.Error(err)
	}
	if n, there := w.bridges[1].metric("factro_bridge_commands_total", `factro_cloud="beta"`); n != 5 || !there {
		t.Errorf("factro_bridge_commands_total of beta is %v, want 5", n)
	}
	c := w.send(command{cloud: beta, source: "urn:beta"})
	if _, ack, err := w.publish(c); err != nil || !ack.Duplicate || w.result(c).outcome != events.Applied {
		t.Errorf("a command that is sent twice: %+v, %v, want a duplicate and a result", ack, err)
	}
	if n := w.bridges[0].Descriptors(); n < 10 || n > 256 {
		t.Errorf("the bridge has %d files open, want some and not more than it may", n)
	}
	w.aftermath(beta, acme)
}

// What is lost is seen.
func TestBooksNameWhatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "none; the test's own books", setting{nats: natsSetting{maxFileStore: 1 << 30, maxPayload: 1 << 20}})
	if err := w.books.missing(w.ctx); err != nil {
		t.Errorf("nothing is lost, but: %v", err)
	}
	w.books.promise(beta, uuid.NewString())
	w.books.expect(command{cloud: beta, id: uuid.NewString()})
	err := w.books.missing(w.ctx)
	if err == nil || !strings.Contains(err.Error(), "not in the stream") || !strings.Contains(err.Error(), "has no result") {
		t.Errorf("a webhook and a command are lost, but the books say: %v", err)
	}
}

// Probes know the truth of before and after a change.
func TestProbes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "none; the test's own probes", setting{})
	p := w.bridges[0].probes
	sampled := func(what string, ok func(s sample) bool) {
		t.Helper()
		w.await(what, func() bool { return slices.ContainsFunc(p.samples(), ok) })
	}
	sampled("an answer", func(s sample) bool { return s.path == "/readyz" && s.status == http.StatusOK })
	p.expect("/readyz", http.StatusOK, http.StatusServiceUnavailable)
	w.nats.Kill()
	sampled("not ready", func(s sample) bool { return s.status == http.StatusServiceUnavailable })
	if err := p.verdict(); err != nil {
		t.Errorf("all answers are true, but: %v", err)
	}
	p.expect("/readyz", http.StatusOK)
	sampled("an untrue answer", func(s sample) bool { return s.wrong })
	w.await("a line in the log", func() bool { return w.bridges[0].Logged(`"level":"WARN"`) })
	if err := p.verdict(); err == nil {
		t.Error("no error, although the bridge says that it is not ready")
	}
}

// A row that failed is marked as such.
func TestTableNamesFailures(t *testing.T) {
	t.Parallel()
	var some rows
	some.add(row{test: "TestB", failed: true, stop: 1500 * time.Millisecond})
	some.add(row{test: "TestA", attack: "noise", memory: 12 << 20, after: figures{commands: []time.Duration{time.Second, 2 * time.Second}}})
	text := some.markdown()
	for _, want := range []string{"| TestA | noise | - -> - | - -> 2000, 2000 ms | 12 MiB |", "| **FAILED** TestB |", "| 1.5 s |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if strings.Index(text, "TestA") > strings.Index(text, "TestB") {
		t.Errorf("the table is out of order:\n%s", text)
	}
}
