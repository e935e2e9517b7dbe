package field

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// deaf is the address of a server that takes connections and says nothing.
func deaf(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return l.Addr().String()
}

// Two senders may choose one id.
func TestTwoSendersOneID(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	id := "inv-" + uuid.NewString()
	titles := map[string]string{}
	for _, source := range []string{"urn:example:billing", "urn:example:shop"} {
		titles[source] = uuid.NewString()
		s.command("createTask", fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, titles[source], examplePackage), map[string][]string{
			"Nats-Msg-Id": {source + " " + id}, "ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {source},
			"ce-type": {"com.factro.command.createTask"}, "content-type": {"application/json"},
		})
	}
	for source, title := range titles {
		s.await("the task of "+source, func() bool { return s.tasks(title) == 1 })
	}
	s.await("both results", func() bool { return len(s.messages("factro.result.acme.*.*.applied")) == 2 })
}

// The same command again, plain JSON: its id alone tells it.
func TestOneCommandTwice(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	title := uuid.NewString()
	data := fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, title, examplePackage)
	id := s.command("createTask", data, nil)
	s.result(id)
	s.command("createTask", data, map[string][]string{"Nats-Msg-Id": {id}})
	s.await("the queue is empty", func() bool {
		queue, err := s.js.Stream(t.Context(), prefix.CommandStream(acme))
		return err == nil && queue.CachedInfo().State.Msgs == 0
	})
	if n := s.tasks(title); n != 1 {
		t.Errorf("factro has %d tasks, want 1", n)
	}
}

// A body that NATS cannot hold is refused, with NATS away too, and not promised and cut.
func TestSpoolPromises(t *testing.T) {
	t.Parallel()
	s := open(t, setting{nats: "max_payload: 64KB", more: "spool: {dir: $dir/spool}"})
	large := func(n int) request {
		return request{body: fmt.Sprintf(`{"action":"A","context":{"entityId":%q},"fill":%q}`, uuid.NewString(), strings.Repeat("x", n))}
	}
	s.send(request{})
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("NATS away: %t", away), func(t *testing.T) {
			s.in(t)
			if away {
				s.nats.Kill()
				s.await("webhooks are spooled", func() bool { return s.send(request{}).status == http.StatusAccepted })
			}
			promised := []string{}
			for _, n := range []int{40_000, 60_000, 63_000, 65_000, 66_000, 200_000} {
				r := large(n)
				if got := s.send(r); got.status == http.StatusAccepted {
					promised = append(promised, r.body)
				} else if got.status != http.StatusRequestEntityTooLarge {
					t.Errorf("%d bytes: %d %s", n, got.status, got.body)
				}
			}
			if len(promised) == 0 || len(promised) == 6 {
				t.Errorf("%d of 6 are promised", len(promised))
			}
			if away {
				s.startNATS()
				s.await("the spool is handed over", func() bool { return s.metric("factro_bridge_spool_messages") == 0 })
			}
			for _, text := range promised {
				s.await("what was promised, whole", func() bool {
					for _, msg := range s.messages("factro.event.acme.>") {
						if string(msg.Data) == text {
							return true
						}
					}
					return false
				})
			}
		})
	}
	t.Run("a start without NATS remembers", func(t *testing.T) {
		s.in(t)
		s.await("the limits are written down", func() bool {
			_, err := os.Stat(filepath.Join(s.dir, "spool", "limits.json"))
			return err == nil
		})
		s.bridge.Kill()
		s.nats.Kill()
		s.start()
		if got := s.send(large(200_000)); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%d %s, want 413", got.status, got.body)
		}
	})
}

// A flood of rejected commands does not push another cloud's dead letters out.
func TestFloodOfRejections(t *testing.T) {
	t.Parallel()
	s := open(t, setting{
		clouds: "  - name: beta\n    webhook: {header: X-Bridge-Key, secrets: [{value: " + webhookSecret + "}]}\n    api: {url: \"$core\", key: {value: " + apiKey + "}, requests_per_minute: 100000}",
		broker: "max_bytes: {dead: 4MiB, results: 4MiB}",
	})
	s.send(request{path: "/webhooks/beta", body: "[]"})
	s.await("beta's dead letter", func() bool { return len(s.messages("factro.dead.webhook.beta")) == 1 })
	for range 60 {
		s.send(request{body: "[" + strings.Repeat(`"x",`, 50_000) + `"x"]`})
	}
	s.await("acme's dead letters", func() bool { return len(s.messages("factro.dead.webhook.acme")) > 5 })
	if n := len(s.messages("factro.dead.webhook.beta")); n != 1 {
		t.Errorf("%d dead letters of beta, want 1", n)
	}
}
