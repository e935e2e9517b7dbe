package hostile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// little keeps the streams small, so that a row fills them in seconds.
const little = "max_bytes: {events: 64MiB, commands: 8MiB, results: 32MiB, dead: 32MiB, ledger: 32MiB, files: 8MiB, answers: 8MiB, originals: 8MiB}"

// refusedFor publishes a command of acme until the broker refuses one, and says how many it took.
func (w *world) refusedFor(most int, c command) int {
	w.t.Helper()
	for n := range most {
		c.id = fmt.Sprintf("flood-%d", n)
		if _, _, err := w.publish(c); err != nil {
			return n
		}
	}
	w.t.Errorf("%d commands of one sender were taken", most)
	return most
}

// paused has factro refuse the API key of a cloud.
func paused(http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusUnauthorized) })
}

// A sender's flood fills the queue of his own cloud, even if that is paused since factro refuses its key.
func TestFloodOfAPausedCloud(t *testing.T) {
	t.Parallel()
	sizes := little
	if scale(0, 1) == 1 {
		sizes = "" // then the queue is full by its number of commands, 100,000
	}
	w := newWorld(t, "a sender floods the queue of a cloud whose key factro refuses", setting{
		natsMore: sizes, core: map[string]func(http.Handler) http.Handler{acme: paused},
	})
	data := fmt.Sprintf(`{"title":%q,"targetParentId":"x"}`, strings.Repeat("x", scale(20_000, 200)))
	w.refusedFor(200_000, command{cloud: acme, data: data, unaccounted: true})
	w.usual(beta)
	w.aftermath(beta)
}

// Commands of a megabyte fill the room of their own cloud, and not that of results.
func TestLargeCommandsFillTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a sender sends commands of 1 MB until the broker refuses them", setting{
		natsMore: little, nats: natsSetting{maxFileStore: 512 << 20}, apiMore: "timeout: 2s",
	})
	data := fmt.Sprintf(`{"title":%q,"targetParentId":"x"}`, strings.Repeat("x", 1<<20))
	var group sync.WaitGroup
	for range 8 { // faster than they are carried out
		group.Go(func() {
			for range scale(10, 200) {
				_, _, _ = w.publish(command{cloud: acme, data: data, unaccounted: true}) // the broker may refuse it
			}
		})
	}
	w.usual(beta)
	group.Wait()
	w.workedOff(acme)
	w.aftermath(beta)
}

// workedOff waits until nothing of a cloud's commands is left to do. Commands run side by side: the result of a later one proves
// nothing about an earlier one.
func (w *world) workedOff(cloud string) {
	w.t.Helper()
	w.await("the queue of "+cloud+" is empty", func() bool { return w.messages(prefix.CommandStream(cloud)) == 0 })
}

func (w *world) messages(stream string) uint64 {
	s, err := w.js.Stream(w.ctx, stream)
	if err != nil {
		return 1
	}
	return s.CachedInfo().State.Msgs
}

// A stream of somebody else has filled the store of the server: webhooks go to the spool, commands wait, readiness says that
// there is no room. Once there is, all goes on.
func TestForeignStreamFillsTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "somebody else's stream without a limit fills the store", setting{
		spool: true, natsMore: little, nats: natsSetting{maxFileStore: 512 << 20},
	})
	foreign, err := w.js.CreateStream(w.ctx, jetstream.StreamConfig{Name: "FOREIGN", Subjects: []string{"foreign.>"}})
	must(t, err)
	for err = nil; err == nil && w.ctx.Err() == nil; {
		_, err = w.js.Publish(w.ctx, "foreign.x", make([]byte, 4<<20))
	}
	if refused, ok := errors.AsType[*jetstream.APIError](err); !ok || refused.ErrorCode != 10023 {
		t.Fatalf("the store is not full: %v", err)
	}
	for range 20 {
		if a := w.post(webhook{cloud: beta}); a.status != http.StatusAccepted {
			t.Errorf("with a full store a webhook is answered with %d %s, want 202 by the spool", a.status, a.body)
		}
	}
	w.await("readiness says that there is no room, and for what", func() bool {
		for _, s := range w.bridges[0].probes.samples() {
			if s.path == "/readyz" && strings.Contains(s.body, "factro.event.beta") && strings.Contains(s.body, "insufficient resources") {
				return true
			}
		}
		return false
	})
	must(t, foreign.Purge(w.ctx))
	w.await("NATS is usable again", func() bool {
		usable, _ := w.bridges[0].metric("factro_bridge_nats_usable")
		return usable == 1
	})
	w.aftermath(beta, acme)
}

// The streams of one cloud are deleted, or sealed, by somebody who may do everything.
func TestStreamsOfOneCloudHarmed(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(context.Context, jetstream.JetStream) error{
		"deleted": func(ctx context.Context, js jetstream.JetStream) error {
			return errors.Join(js.DeleteStream(ctx, prefix.EventStream(acme)), js.DeleteStream(ctx, prefix.CommandStream(acme)))
		},
		"sealed": func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, prefix.EventStream(acme))
			if err != nil {
				return err
			}
			cfg := s.CachedInfo().Config
			cfg.Sealed = true
			_, err = js.UpdateStream(ctx, cfg)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "the streams of acme are "+name, setting{natsMore: little})
			end := time.Now().Add(time.Duration(scale(3, 60)) * time.Second)
			for time.Now().Before(end) {
				must(t, harm(w.ctx, w.js))
				w.usual(beta)
				if name == "sealed" { // there is no way back
					break
				}
				w.await("they are made again", func() bool {
					_, err := w.js.Stream(w.ctx, prefix.EventStream(acme))
					_, err2 := w.js.Stream(w.ctx, prefix.CommandStream(acme))
					return err == nil && err2 == nil
				})
			}
			w.aftermath(beta)
		})
	}
}
