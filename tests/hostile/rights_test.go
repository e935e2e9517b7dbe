package hostile

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/tests/authconf"
)

// signed connects with the key in a file.
func signed(t *testing.T, seed string) nats.Option {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(seed)
	must(t, err)
	return key
}

// The programs of acme, with the rights that the file gives them, try whatever they can reach: to have JetStream publish for
// beta, delete or empty streams, make consumers, and reveal beta.
func TestProgramsWithTheirRights(t *testing.T) {
	t.Parallel()
	attacking(t)
	text, err := os.ReadFile("../../deploy/nats/auth.conf")
	must(t, err)
	conf, keys := authconf.WithKeys(t, authconf.WithExamples(string(text)))
	w := newWorld(t, "programs of acme use reply subjects, consumers and requests against beta", setting{
		nats: natsSetting{config: conf}, natsMore: fmt.Sprintf("nkey_file: %q", keys["owner"]), client: []nats.Option{signed(t, keys["owner"])},
	})
	_, err = w.js.CreateConsumer(w.ctx, prefix.EventStream(acme), jetstream.ConsumerConfig{
		Durable: "mirror", FilterSubject: prefix.EventFilter(acme, "task", "*", "TaskCreated"), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1,
	})
	must(t, err)
	w.result(w.send(command{cloud: acme})) // so that there is something to send elsewhere
	targets := []string{
		"$JS.API.STREAM.DELETE." + prefix.EventStream(beta), "$JS.API.STREAM.PURGE." + prefix.ResultStream(beta),
		"$JS.API.STREAM.DELETE.KV_FACTRO_LEDGER_BETA", "$JS.API.CONSUMER.DELETE." + prefix.CommandStream(beta) + ".egress-beta",
		"$KV.FACTRO_LEDGER_BETA.x", "factro.command.beta.task.createTask", "factro.redrive.beta.task.createTask",
		"factro.event.beta.task.1.TaskCreated", "factro.result.beta.task.createTask.applied", "factro.dead.webhook.beta",
	}
	var heard []*nats.Subscription // a consumer delivers only where somebody subscribes
	for _, target := range targets {
		sub, err := w.nc.SubscribeSync(target)
		must(t, err)
		heard = append(heard, sub)
	}
	before := w.streamsAndConsumers()
	for _, name := range []string{"sender", "subscriber", "asker"} {
		nc, err := nats.Connect("nats://"+w.natsAddress, signed(t, keys[name]), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
			nats.CustomInboxPrefix("_INBOX.billing"))
		must(t, err)
		t.Cleanup(nc.Close)
		for range scale(2, 200) {
			for _, target := range targets {
				for _, api := range []string{"$JS.API.", "JS.factro.API."} {
					create, err := json.Marshal(map[string]any{"stream_name": prefix.EventStream(acme), "config": map[string]any{
						"name": "x", "deliver_subject": target, "deliver_policy": "all", "ack_policy": "none",
					}})
					must(t, err)
					for subject, body := range map[string]string{
						api + "DIRECT.GET." + prefix.ResultStream(acme):                   `{"seq":999999}`,
						api + "DIRECT.GET.OBJ_FACTRO_ANSWERS_ACME":                        `{"seq":999999}`,
						api + "CONSUMER.MSG.NEXT." + prefix.EventStream(acme) + ".mirror": `{"batch":1,"no_wait":true}`,
						api + "CONSUMER.INFO." + prefix.EventStream(acme) + ".mirror":     "",
						api + "CONSUMER.CREATE." + prefix.EventStream(acme) + ".x":        string(create),
						api + "CONSUMER.CREATE." + prefix.EventStream(beta) + ".x":        string(create),
						"$JS.ACK." + prefix.EventStream(acme) + ".mirror.1.1.1.1.0":       "+NXT",
						"factro.command.acme.bridge.canary":                               "{}",
						"factro.query.acme.user.getUserQuota":                             "{}",
						target:                                                            "",
					} {
						must(t, nc.PublishRequest(subject, target, []byte(body)))
					}
				}
			}
			must(t, nc.FlushTimeout(10*time.Second))
		}
		for _, request := range []string{
			"STREAM.INFO." + prefix.EventStream(beta), "STREAM.NAMES", "CONSUMER.NAMES." + prefix.EventStream(acme), "DIRECT.GET." + prefix.EventStream(beta),
			"DIRECT.GET." + prefix.ResultStream(beta), "CONSUMER.MSG.NEXT." + prefix.EventStream(beta) + ".mirror",
		} {
			for _, api := range []string{"$JS.API.", "JS.factro.API."} {
				if answer, err := nc.Request(api+request, []byte(`{"seq":1}`), 100*time.Millisecond); err == nil &&
					(strings.Contains(string(answer.Data), "BETA") || len(answer.Header["Nats-Subject"]) > 0) {
					t.Errorf("%s is revealed by %s: %s %s", name, request, answer.Header, answer.Data)
				}
			}
		}
	}
	must(t, w.nc.FlushTimeout(10*time.Second))
	for _, sub := range heard {
		if msg, err := sub.NextMsg(time.Second / 10); err == nil {
			t.Errorf("%s got %s", sub.Subject, msg.Data)
		}
		must(t, sub.Unsubscribe())
	}
	if after := w.streamsAndConsumers(); !maps.Equal(before, after) {
		t.Errorf("before:\n%v\nafter:\n%v", before, after)
	}
	w.aftermath(beta)
}

// streamsAndConsumers are all streams with their consumers, and for those of beta what they hold.
func (w *world) streamsAndConsumers() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	list := w.js.ListStreams(w.ctx)
	for info := range list.Info() {
		stream, err := w.js.Stream(w.ctx, info.Config.Name)
		must(w.t, err)
		var names []string
		consumers := stream.ConsumerNames(w.ctx)
		for name := range consumers.Name() {
			names = append(names, name)
		}
		must(w.t, consumers.Err())
		slices.Sort(names)
		held := ""
		if strings.HasSuffix(info.Config.Name, "_BETA") {
			held = fmt.Sprint(info.State.Msgs, info.State.FirstSeq, info.State.LastSeq)
		}
		all[info.Config.Name] = strings.Join(names, " ") + " " + held
	}
	must(w.t, list.Err())
	return all
}
