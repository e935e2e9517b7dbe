package tests

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// quietly are the options of who tries what is refused.
func quietly() nats.Option { return nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) }

// others are all users but the owner, who may do everything.
func (g *guarded) others() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g.seeds)), func(user string) bool { return user == "owner" })
}

// reach is who reached each subject.
type reach map[string]map[string]bool

func (r reach) add(subject, user string) {
	if r[subject] == nil {
		r[subject] = map[string]bool{}
	}
	r[subject][user] = true
}

// check compares with who may reach each subject. Nobody may reach others.
func (r reach) check(t *testing.T, may map[string]string) {
	t.Helper()
	for subject, want := range may {
		if got := slices.Sorted(maps.Keys(r[subject])); strings.Join(got, " ") != want {
			t.Errorf("%s: %v reach it, want %s", subject, got, want)
		}
		delete(r, subject)
	}
	for subject, users := range r {
		t.Errorf("%s: %v reach it", subject, users)
	}
}

// What each may send to the account that has the streams, which is where it counts. Beside the owner nobody may do what is not
// theirs: who takes webhooks cannot send commands, who sends commands cannot make results, nobody reaches another cloud, and
// nobody can take a stream away or make a consumer who is no role of the bridge.
func TestRightsToPublish(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	may := map[string]string{ // by subject: who, beside the owner
		"factro.event.acme.task.1.TaskCreated":        "ingress reconcile",
		"factro.event.acme.bridge.1.GapDetected":      "ingress reconcile",
		"factro.event.other.task.1.TaskCreated":       "",
		"factro.command.acme.task.createTask":         "egress sender",
		"factro.command.beta.task.createTask":         "beta-sender egress",
		"factro.command.acme.bridge.canary":           "canary egress sender",
		"factro.command.beta.bridge.canary":           "beta-sender canary egress",
		"factro.command.other.task.createTask":        "",
		"factro.redrive.acme.task.createTask":         "egress",
		"factro.redrive.beta.task.createTask":         "egress",
		"factro.delayed.acme.due.x":                   "egress",
		"factro.change.acme.task.1.updated":           "mirror",
		"factro.change.beta.task.1.updated":           "mirror",
		"factro.change.other.task.1.updated":          "",
		"factro.cancel.acme":                          "",
		"factro.mirror.acme":                          "",
		"factro.result.acme.task.createTask.applied":  "egress",
		"factro.result.other.task.createTask.applied": "",
		"factro.dead.command.acme.task.createTask":    "egress",
		"factro.dead.webhook.acme":                    "ingress",
		"factro.query.acme.user.getUserQuota":         "asker canary",
		"factro.query.acme.task.listTasks":            "asker",
		"factro.query.beta.task.listTasks":            "beta-asker",
		"factro.query.acme.status":                    "asker canary sender",
		"factro.query.beta.status":                    "beta-asker beta-sender canary",
		"factro.query.other.status":                   "",
		"factro.query.other.task.listTasks":           "",
		"$KV.FACTRO_LEDGER_ACME.x":                    "egress",
		"$KV.FACTRO_KEYS_ACME.x":                      "egress",
		"$KV.FACTRO_STATE_ACME.acme.task.1":           "mirror",
		"$KV.FACTRO_STATE_OTHER.other.task.1":         "",
		"$KV.FACTRO_RECONCILE.acme":                   "reconcile",
		"$KV.FACTRO_RECONCILE.reconcile.acme":         "reconcile",
		"$KV.FACTRO_RECONCILE.commands.acme":          "egress reconcile",
		"$KV.FACTRO_RECONCILE.commands.other":         "reconcile",
		"$KV.FACTRO_RECONCILE.mirror.acme":            "mirror reconcile",
		"$KV.FACTRO_RECONCILE.bridge.x":               "egress mirror reconcile",
		"$O.FACTRO_ANSWERS_ACME.C.x":                  "egress",
		"$O.FACTRO_FILES_ACME.C.x":                    "",
		"_INBOX.x.y":                                  "egress mirror",
		"_INBOX.beta-billing.y":                       "egress mirror",
		"_R_.x":                                       "egress",

		"$JS.API.INFO":                                                                  "",
		"$JS.API.STREAM.NAMES":                                                          "",
		"$JS.API.STREAM.LIST":                                                           "",
		"$JS.API.STREAM.CREATE.X":                                                       "",
		"$JS.API.STREAM.UPDATE.FACTRO_EVENTS_ACME":                                      "",
		"$JS.API.STREAM.DELETE.FACTRO_COMMANDS_ACME":                                    "",
		"$JS.API.STREAM.PURGE.FACTRO_EVENTS_ACME":                                       "",
		"$JS.API.STREAM.PURGE.KV_FACTRO_LEDGER_ACME":                                    "",
		"$JS.API.STREAM.PURGE.OBJ_FACTRO_FILES_ACME":                                    "",
		"$JS.API.STREAM.PURGE.OBJ_FACTRO_ANSWERS_ACME":                                  "egress",
		"$JS.API.STREAM.SNAPSHOT.FACTRO_EVENTS_ACME":                                    "",
		"$JS.API.STREAM.RESTORE.X":                                                      "",
		"$JS.API.STREAM.INFO.FACTRO_EVENTS_ACME":                                        "egress ingress mirror reconcile tracer",
		"$JS.API.STREAM.INFO.FACTRO_COMMANDS_ACME":                                      "egress tracer",
		"$JS.API.STREAM.INFO.FACTRO_RESULTS_ACME":                                       "egress mirror tracer",
		"$JS.API.STREAM.INFO.FACTRO_EVENTS_OTHER":                                       "",
		"$JS.API.STREAM.MSG.DELETE.FACTRO_EVENTS_ACME":                                  "",
		"$JS.API.STREAM.MSG.DELETE.FACTRO_COMMANDS_ACME":                                "egress",
		"$JS.API.STREAM.MSG.GET.KV_FACTRO_LEDGER_ACME":                                  "egress",
		"$JS.API.STREAM.MSG.GET.KV_FACTRO_LEDGER_BETA":                                  "egress",
		"$JS.API.STREAM.MSG.GET.KV_FACTRO_KEYS_ACME":                                    "egress",
		"$JS.API.STREAM.PURGE.KV_FACTRO_KEYS_ACME":                                      "",
		"$JS.API.STREAM.INFO.KV_FACTRO_STATE_ACME":                                      "mirror reader",
		"$JS.API.STREAM.INFO.FACTRO_CHANGES_ACME":                                       "mirror tracer",
		"$JS.API.STREAM.MSG.GET.KV_FACTRO_STATE_ACME":                                   "egress mirror",
		"$JS.API.STREAM.MSG.GET.FACTRO_CHANGES_ACME":                                    "mirror",
		"$JS.API.STREAM.PURGE.KV_FACTRO_STATE_ACME":                                     "",
		"$JS.API.STREAM.MSG.DELETE.KV_FACTRO_STATE_ACME":                                "",
		"$JS.API.DIRECT.GET.KV_FACTRO_STATE_ACME":                                       "",
		"$JS.API.DIRECT.GET.KV_FACTRO_STATE_ACME.$KV.FACTRO_STATE_ACME.acme.task.1":     "reader",
		"$JS.API.DIRECT.GET.KV_FACTRO_STATE_BETA.$KV.FACTRO_STATE_BETA.beta.task.1":     "beta-reader",
		"$JS.API.DIRECT.GET.FACTRO_CHANGES_ACME":                                        "tracer",
		"$JS.API.STREAM.MSG.GET.FACTRO_EVENTS_ACME":                                     "egress",
		"$JS.API.STREAM.MSG.GET.FACTRO_COMMANDS_ACME":                                   "egress",
		"$JS.API.DIRECT.GET.FACTRO_EVENTS_ACME":                                         "tracer",
		"$JS.API.DIRECT.GET.KV_FACTRO_LEDGER_ACME":                                      "tracer",
		"$JS.API.DIRECT.GET.KV_FACTRO_LEDGER_BETA":                                      "beta-tracer",
		"$JS.API.DIRECT.GET.FACTRO_EVENTS_ACME.factro.event.acme.task":                  "",
		"$JS.API.DIRECT.GET.FACTRO_EVENTS_ACME.factro.event.acme.bridge.1.BridgeCanary": "canary",
		"$JS.API.DIRECT.GET.FACTRO_COMMANDS_ACME":                                       "tracer",
		"$JS.API.DIRECT.GET.FACTRO_RESULTS_ACME":                                        "sender tracer",
		"$JS.API.DIRECT.GET.FACTRO_RESULTS_BETA":                                        "beta-sender beta-tracer",
		"$JS.API.DIRECT.GET.OBJ_FACTRO_ANSWERS_ACME":                                    "asker",
		"$JS.API.DIRECT.GET.OBJ_FACTRO_ANSWERS_ACME.$O.x":                               "egress",
		"$JS.API.DIRECT.GET.OBJ_FACTRO_ANSWERS_BETA":                                    "beta-asker",
		"$JS.API.DIRECT.GET.OBJ_FACTRO_FILES_ACME":                                      "",

		"$JS.API.CONSUMER.LIST.FACTRO_EVENTS_ACME":                                    "",
		"$JS.API.CONSUMER.NAMES.FACTRO_EVENTS_ACME":                                   "",
		"$JS.API.CONSUMER.INFO.FACTRO_EVENTS_ACME.mirror":                             "subscriber",
		"$JS.API.CONSUMER.INFO.FACTRO_EVENTS_ACME.others":                             "",
		"$JS.API.CONSUMER.INFO.FACTRO_EVENTS_BETA.mirror":                             "beta-subscriber",
		"$JS.API.CONSUMER.MSG.NEXT.FACTRO_EVENTS_ACME.mirror":                         "mirror reconcile subscriber",
		"$JS.API.CONSUMER.MSG.NEXT.FACTRO_COMMANDS_ACME.egress-acme":                  "egress",
		"$JS.ACK.FACTRO_COMMANDS_ACME.egress-acme.1.1.1.1.1":                          "egress",
		"$JS.ACK.FACTRO_EVENTS_ACME.mirror.1.1.1.1.1":                                 "subscriber",
		"$JS.ACK.FACTRO_EVENTS_ACME.others.1.1.1.1.1":                                 "",
		"$JS.API.CONSUMER.CREATE.FACTRO_COMMANDS_ACME.x.y":                            "",
		"$JS.API.CONSUMER.CREATE.FACTRO_EVENTS_ACME":                                  "",
		"$JS.API.CONSUMER.CREATE.FACTRO_EVENTS_ACME.x":                                "",
		"$JS.API.CONSUMER.CREATE.FACTRO_EVENTS_ACME.x.factro.event.acme.>":            "mirror reconcile",
		"$JS.API.CONSUMER.CREATE.FACTRO_EVENTS_BETA.x.factro.event.beta.>":            "mirror reconcile",
		"$JS.API.CONSUMER.CREATE.FACTRO_RESULTS_ACME.x.factro.result.acme.>":          "mirror",
		"$JS.API.CONSUMER.CREATE.FACTRO_DEAD_ACME.x.factro.dead.command.>":            "",
		"$JS.API.CONSUMER.CREATE.OBJ_FACTRO_FILES_ACME.x.$O.FACTRO_FILES_ACME.C.y":    "egress",
		"$JS.API.CONSUMER.CREATE.OBJ_FACTRO_ANSWERS_ACME.x":                           "",
		"$JS.API.CONSUMER.CREATE.KV_FACTRO_STATE_ACME.x.$KV.FACTRO_STATE_ACME.acme.>": "mirror",
		"$JS.API.CONSUMER.CREATE.KV_FACTRO_STATE_ACME.x":                              "",
		"$JS.API.CONSUMER.CREATE.FACTRO_CHANGES_ACME.x":                               "",
		"$JS.API.CONSUMER.INFO.FACTRO_CHANGES_ACME.search":                            "reader",
		"$JS.API.CONSUMER.MSG.NEXT.FACTRO_CHANGES_ACME.search":                        "reader",
		"$JS.API.CONSUMER.MSG.NEXT.FACTRO_CHANGES_BETA.search":                        "beta-reader",
		"$JS.ACK.FACTRO_CHANGES_ACME.search.1.1.1.1.1":                                "reader",
		"$JS.API.CONSUMER.DURABLE.CREATE.FACTRO_COMMANDS_ACME.x":                      "",
		"$JS.API.CONSUMER.DURABLE.CREATE.FACTRO_EVENTS_ACME.mirror":                   "",
		"$JS.API.CONSUMER.DELETE.FACTRO_COMMANDS_ACME.egress-acme":                    "egress",
		"$JS.API.CONSUMER.DELETE.FACTRO_EVENTS_ACME.mirror":                           "mirror reconcile",
		"$JS.API.CONSUMER.DELETE.FACTRO_RESULTS_ACME.others":                          "mirror",
		"$JS.API.CONSUMER.DELETE.OBJ_FACTRO_ANSWERS_ACME.others":                      "",
		"$JS.API.CONSUMER.DELETE.OBJ_FACTRO_FILES_ACME.others":                        "egress",
		"$JS.API.CONSUMER.PAUSE.FACTRO_COMMANDS_ACME.egress-acme":                     "",
		"$JS.API.CONSUMER.UNPIN.FACTRO_EVENTS_ACME.mirror":                            "",
		"$JS.API.CONSUMER.LEADER.STEPDOWN.FACTRO_EVENTS_ACME.mirror":                  "",
		"$JS.API.STREAM.LEADER.STEPDOWN.FACTRO_EVENTS_ACME":                           "",
		"$JS.API.STREAM.PEER.REMOVE.FACTRO_EVENTS_ACME":                               "",
		"$JS.FC.OBJ_FACTRO_FILES_ACME.x":                                              "egress",
	}
	owner, _ := g.connect("owner")
	spy, err := owner.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Flush(); err != nil {
		t.Fatal(err)
	}
	const who = "X-Who"
	for _, user := range g.others() {
		nc, _ := g.connect(user, quietly())
		for subject := range may {
			send := []string{subject}
			if api := connections[strings.TrimPrefix(user, "beta-")].api; api != "" && strings.HasPrefix(subject, "$JS.API.") {
				send = append(send, api+strings.TrimPrefix(subject, "$JS.API"))
			}
			for _, s := range send {
				if err := nc.PublishMsg(&nats.Msg{Subject: s, Header: nats.Header{who: {user}}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := owner.Publish("end", nil); err != nil {
		t.Fatal(err)
	}
	reached := reach{}
	for msg, err := spy.NextMsg(patience); err != nil || msg.Subject != "end"; msg, err = spy.NextMsg(patience) {
		if err != nil {
			t.Fatal(err)
		}
		if user := msg.Header.Get(who); user != "" {
			reached.add(msg.Subject, user)
		}
	}
	reached.check(t, may)
}

// What each may hear of what is said in the account that has the streams.
func TestRightsToHear(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	may := map[string]string{
		"factro.event.acme.task.1.TaskCreated":       "",
		"factro.command.acme.task.createTask":        "",
		"factro.result.acme.task.createTask.applied": "",
		"factro.dead.webhook.acme":                   "",
		"factro.query.acme.task.listTasks":           "egress",
		"factro.query.other.task.listTasks":          "",
		"$KV.FACTRO_LEDGER_ACME.x":                   "",
		"$KV.FACTRO_STATE_ACME.acme.task.1":          "",
		"factro.change.acme.task.1.updated":          "",
		"$JS.API.STREAM.INFO.FACTRO_EVENTS_ACME":     "",
		"$JS.EVENT.ADVISORY.API":                     "",
		"_INBOX.x.y":                                 "",
		"_R_.x":                                      "",
		"_INBOX.egress.x":                            "egress",
		"_INBOX.reconcile.x":                         "reconcile",
		"_INBOX.mirror.x":                            "mirror",
		"factro.mirror.acme":                         "mirror",
		"factro.mirror.other":                        "",
		"_INBOX.canary.x":                            "canary",
		"_INBOX.billing.x":                           "sender",
		"_INBOX.beta-billing.x":                      "beta-sender",
	}
	subscriptions, conns := map[string][]*nats.Subscription{}, map[string]*nats.Conn{}
	for _, user := range g.others() {
		nc, _ := g.connect(user, quietly(), nats.PermissionErrOnSubscribe(true))
		for _, subject := range append(slices.Sorted(maps.Keys(may)), ">", "factro.>", "_INBOX.>") {
			sub, err := nc.SubscribeSync(subject)
			if err != nil {
				t.Fatal(err)
			}
			subscriptions[user] = append(subscriptions[user], sub)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		conns[user] = nc
	}
	owner, _ := g.connect("owner")
	for subject := range may {
		if err := owner.Publish(subject, []byte("by the owner")); err != nil {
			t.Fatal(err)
		}
	}
	if err := owner.Flush(); err != nil {
		t.Fatal(err)
	}
	heard := reach{}
	for user, subs := range subscriptions {
		if err := conns[user].Flush(); err != nil { // what the server has for a connection comes before its answer to a ping
			t.Fatal(err)
		}
		for _, sub := range subs {
			for msg, err := sub.NextMsg(time.Millisecond); err == nil; msg, err = sub.NextMsg(time.Millisecond) {
				if string(msg.Data) == "by the owner" {
					heard.add(msg.Subject, user)
				}
			}
			if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrBadSubscription) && !errors.Is(err, nats.ErrPermissionViolation) {
				t.Error(err)
			}
		}
	}
	heard.check(t, may)
}
