package tests

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// Beside the owner nobody may do what is not theirs: who takes webhooks cannot send commands, who sends commands cannot make
// results, and nobody can take a stream away or hear what others hear.
func TestRightsRefused(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	may := map[string]string{ // by "pub" or "sub" and a subject: who, beside the owner
		"pub factro.event.acme.task.1.TaskCreated":             "ingress reconcile",
		"pub factro.event.acme.bridge.1.GapDetected":           "ingress reconcile",
		"pub factro.command.acme.task.createTask":              "sender",
		"pub factro.command.acme.task.setTaskState":            "canary sender",
		"pub factro.command.other.task.createTask":             "",
		"pub factro.result.acme.task.createTask.applied":       "egress",
		"pub factro.dead.command.acme.task.createTask":         "egress",
		"pub factro.dead.webhook.acme":                         "ingress",
		"pub factro.query.acme.user.getUserQuota":              "canary asker",
		"pub factro.query.acme.task.listTasks":                 "asker",
		"pub factro.query.other.task.listTasks":                "",
		"pub $KV.FACTRO_LEDGER_ACME.acme.x":                    "egress",
		"pub $KV.FACTRO_RECONCILE.acme":                        "reconcile",
		"pub $O.FACTRO_ANSWERS_ACME.C.x":                       "egress",
		"pub $O.FACTRO_FILES_ACME.C.x":                         "",
		"pub _INBOX.x.y":                                       "egress",
		"pub $JS.API.INFO":                                     "",
		"pub $JS.API.STREAM.NAMES":                             "",
		"pub $JS.API.STREAM.CREATE.X":                          "",
		"pub $JS.API.STREAM.UPDATE.FACTRO_EVENTS_ACME":         "",
		"pub $JS.API.STREAM.DELETE.FACTRO_COMMANDS_ACME":       "",
		"pub $JS.API.STREAM.PURGE.FACTRO_EVENTS_ACME":          "",
		"pub $JS.API.STREAM.PURGE.KV_FACTRO_LEDGER_ACME":       "",
		"pub $JS.API.STREAM.PURGE.OBJ_FACTRO_FILES_ACME":       "",
		"pub $JS.API.STREAM.PURGE.OBJ_FACTRO_ANSWERS_ACME":     "egress",
		"pub $JS.API.STREAM.SNAPSHOT.FACTRO_EVENTS_ACME":       "",
		"pub $JS.API.STREAM.RESTORE.X":                         "",
		"pub $JS.API.STREAM.MSG.DELETE.FACTRO_EVENTS_ACME":     "",
		"pub $JS.API.STREAM.MSG.DELETE.FACTRO_COMMANDS_ACME":   "egress",
		"pub $JS.API.STREAM.MSG.GET.KV_FACTRO_LEDGER_ACME":     "",
		"pub $JS.API.DIRECT.GET.FACTRO_EVENTS_ACME":            "",
		"pub $JS.API.DIRECT.GET.OBJ_FACTRO_ANSWERS_ACME.$O.x":  "asker egress",
		"pub $JS.API.CONSUMER.CREATE.FACTRO_COMMANDS_ACME.x.y": "",

		"pub $JS.API.CONSUMER.DURABLE.CREATE.FACTRO_COMMANDS_ACME.x":             "",
		"pub $JS.API.CONSUMER.DELETE.FACTRO_COMMANDS_ACME.egress-acme":           "",
		"pub $JS.API.CONSUMER.PAUSE.FACTRO_COMMANDS_ACME.egress-acme":            "",
		"pub $JS.API.CONSUMER.MSG.NEXT.FACTRO_COMMANDS_ACME.egress-acme":         "egress",
		"pub $JS.ACK.FACTRO_COMMANDS_ACME.egress-acme.1.1.1.1.1":                 "egress",
		"pub $JS.API.CONSUMER.CREATE.FACTRO_EVENTS_ACME.x.factro.event.>":        "reconcile",
		"pub $JS.API.CONSUMER.CREATE.FACTRO_EVENTS_ACME.x.factro.event.acme.>":   "reconcile",
		"pub $JS.API.CONSUMER.CREATE.FACTRO_EVENTS_ACME.mirror.factro.event.>":   "reconcile",
		"pub $JS.API.CONSUMER.DELETE.FACTRO_EVENTS_ACME.mirror":                  "reconcile",
		"pub $JS.API.CONSUMER.DELETE.FACTRO_RESULTS_ACME.others":                 "",
		"pub $JS.API.CONSUMER.DELETE.OBJ_FACTRO_ANSWERS_ACME.others":             "asker",
		"pub $JS.API.CONSUMER.DELETE.OBJ_FACTRO_FILES_ACME.others":               "egress",
		"pub $JS.ACK.FACTRO_EVENTS_ACME.others.1.1.1.1.1":                        "",
		"pub $JS.API.CONSUMER.CREATE.FACTRO_RESULTS_ACME.x.factro.result.acme.>": "sender",

		"sub >":                "",
		"sub factro.>":         "",
		"sub factro.event.>":   "",
		"sub factro.command.>": "",
		"sub factro.result.>":  "",
		"sub factro.query.>":   "egress",
		"sub $KV.>":            "",
		"sub $JS.>":            "",
		"sub _INBOX.>":         "canary egress ingress reconcile",
		"sub _INBOX.report.>":  "asker canary egress ingress reconcile",
	}
	allowed := map[string][]string{}
	for user := range g.seeds {
		nc, _ := g.connect(user, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.PermissionErrOnSubscribe(true))
		for what := range may {
			kind, subject, _ := strings.Cut(what, " ")
			before := nc.LastError()
			if kind == "pub" {
				if err := nc.Publish(subject, nil); err != nil {
					t.Fatal(err)
				}
			} else if _, err := nc.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			after := nc.LastError()
			switch {
			case errors.Is(after, before): // each refusal is a new value
				allowed[what] = append(allowed[what], user)
			case !errors.Is(after, nats.ErrPermissionViolation):
				t.Fatal(after)
			}
		}
	}
	for what, want := range may {
		got := allowed[what]
		slices.Sort(got)
		if want := append(strings.Fields(want), "owner"); !slices.Equal(got, sorted(want)) {
			t.Errorf("%s: %v may, want %v", what, got, want)
		}
	}
}

func sorted(names []string) []string { slices.Sort(names); return names }
