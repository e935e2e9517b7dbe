package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/internal/timeline"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// importLine is a line of the imports of an account, with its subject.
var importLine = regexp.MustCompile(`(?m)^ *\{(?:service|stream): \{account: FACTRO, subject: "([^"]*)".*\n`)

// programs are the accounts of deploy/nats/auth.conf that have a scenario, and how many import lines of each are about acme.
var programs = map[string]struct {
	user  string
	lines int
	work  func(*programWorld, context.Context, jetstream.JetStream) error
}{
	"BILLING":       {"sender", 4, (*programWorld).send},
	"MIRROR":        {"subscriber", 3, (*programWorld).subscribe},
	"SEARCH":        {"reader", 5, (*programWorld).readMirror},
	"REPORT":        {"asker", 2, (*programWorld).ask},
	"TRACING":       {"tracer", 14, (*programWorld).trace},
	"FACTRO_CANARY": {"canary", 5, (*programWorld).canary},
}

// programWorld is what the programs work with.
type programWorld struct {
	*guarded
	f *factro
}

// programRow is one program with all lines, or without one.
type programRow struct {
	account, user, lacks string
}

// programRows returns the rows of all programs, and adds to the configuration a copy of the program's account for each line that it
// can lack.
func programRows(t *testing.T, conf string) (rows []programRow, changed string) {
	t.Helper()
	for account, p := range programs {
		rows = append(rows, programRow{account: account, user: p.user})
		block := regexp.MustCompile(`(?ms)^  ` + account + ` \{.*?^  \}\n`).FindString(conf)
		lines := 0
		for n, line := range importLine.FindAllStringSubmatch(block, -1) {
			if strings.Contains(strings.ToLower(line[1]), "beta") {
				continue
			}
			lines++
			user := fmt.Sprint(p.user, n)
			rows = append(rows, programRow{account, user, line[1]})
			without := strings.Replace(strings.Replace(block, line[0], "", 1), account+" {", fmt.Sprint(account, n, " {"), 1)
			without = strings.Replace(without, "{nkey: "+strings.ToUpper(p.user)+"}", "{nkey: "+strings.ToUpper(user)+"}", 1)
			conf = strings.Replace(conf, block, block+without, 1)
		}
		if lines != p.lines {
			t.Fatalf("%s has %d lines about acme, want %d", account, lines, p.lines)
		}
	}
	return rows, conf
}

// TestProgramRights: the lines of a program's account in deploy/nats/auth.conf are enough for its work, by the functions that
// are made for it, and each is needed: without it the program does not do its work. All are in one server, with one bridge.
func TestProgramRights(t *testing.T) {
	t.Parallel()
	var rows []programRow
	g := startGuarded(t, func(conf string) string {
		rows, conf = programRows(t, conf)
		return conf
	})
	w := &programWorld{g, startFactro(t, sim.Config{})}
	g.prepare(w.f)
	g.bridge(w.f, "egress", "egress, query", "false").start()
	ingress := g.bridge(w.f, "ingress", "ingress", "false").start()
	(&asking{t: t, f: w.f}).fill()
	for n := range 40 {
		if status := ingress.webhook(http.DefaultClient, "acme", fmt.Sprintf(`{"action":"TaskCreated","context":{"entityId":"%d"}}`, n)); status != http.StatusAccepted {
			t.Fatalf("the webhook is answered with %d", status)
		}
	}
	w.change(40)
	for account := range programs {
		t.Run(account, func(t *testing.T) {
			t.Parallel()
			for _, row := range rows { // that with all lines comes first
				if row.account != account {
					continue
				}
				if err := w.try(t, row); (err == nil) != (row.lacks == "") {
					t.Errorf("%s without %q: %v", row.account, row.lacks, err)
				}
			}
		})
	}
}

// try has a program do its work, as the user of a row.
func (w *programWorld) try(t *testing.T, row programRow) error {
	t.Helper()
	limit, onError := 3*time.Second, quietly()
	if row.lacks == "" {
		limit = patience
		onError = nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", row.account, err)
			}
		})
	}
	_, js := w.connect(row.user, onError, nats.Name(row.user))
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return programs[row.account].work(w, ctx, js)
}

func (w *programWorld) send(ctx context.Context, js jetstream.JetStream) error {
	client, id := events.NewClient(js, "acme"), events.WithID("c-"+js.Conn().Opts.Name)
	create := payload.CreateTask{Title: "Prüfung", TargetParentID: w.f.demo.Package}
	first, err := client.Do(ctx, create, id)
	if err != nil {
		return err
	}
	again, err := client.Do(ctx, create, id) // the result of before is in the stream alone
	if err != nil {
		return err
	}
	if first.Resource == nil || again.Resource == nil || again.Resource.ID != first.Resource.ID {
		return fmt.Errorf("got %+v and then %+v", first, again)
	}
	_, err = client.Send(ctx, create)
	_, err2 := client.Status(ctx, "")
	return errors.Join(err, err2, w.hear(ctx, js))
}

// subscribe takes one event, leaves, comes again and takes the next one, which the broker has only for whoever acknowledged the first.
func (w *programWorld) subscribe(ctx context.Context, js jetstream.JetStream) error {
	last := -1
	for range 2 {
		subscribed, stop := context.WithCancel(ctx)
		var got []string
		err := events.Subscribe(subscribed, js, "factro.event.acme.task.*.TaskCreated", func(_ context.Context, e events.Event) error {
			if got = append(got, e.EntityID); e.Deliveries > 1 {
				got = append(got, "again")
			}
			stop()
			return nil
		}, events.Prepared("mirror"))
		stop()
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.Join(got, ", "))
		if err != nil || last >= 0 && n != last+1 {
			return fmt.Errorf("got the events %q after %d", got, last)
		}
		last = n
	}
	return nil
}

// change has objects and changes be there, as if they were mirrored.
func (w *programWorld) change(n int) {
	w.t.Helper()
	for n := range n {
		id := strconv.Itoa(n)
		for _, subject := range []string{
			"$KV." + change.Bucket(prefix, "acme") + "." + change.Key("acme", "task", id), change.Subject(prefix, "acme", "task", id, change.Created),
		} {
			if _, err := w.owner.Request(subject, []byte("{}"), patience); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// readMirror reads an object by its id, and takes changes as subscribe takes events.
func (*programWorld) readMirror(ctx context.Context, js jetstream.JetStream) error {
	state, err := js.KeyValue(ctx, change.Bucket(prefix, "acme"))
	if err != nil {
		return err
	}
	if _, err := state.Get(ctx, change.Key("acme", "task", "7")); err != nil {
		return err
	}
	consumer, err := js.Consumer(ctx, change.Stream(prefix, "acme"), "search")
	if err != nil {
		return err
	}
	last := -1
	for range 2 {
		msg, err := consumer.Next(jetstream.FetchContext(ctx))
		if err != nil {
			return err
		}
		if err := msg.DoubleAck(ctx); err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.Split(msg.Subject(), ".")[4])
		if err != nil || last >= 0 && n != last+1 {
			return fmt.Errorf("got %s after %d", msg.Subject(), last)
		}
		last = n
	}
	return nil
}

func (w *programWorld) ask(ctx context.Context, js jetstream.JetStream) error {
	return errors.Join(w.query(ctx, js, "getUserQuota", "user", 2), w.query(ctx, js, "listTasks", "task", 1<<20))
}

func (w *programWorld) canary(ctx context.Context, js jetstream.JetStream) error {
	client := events.NewClient(js, "acme")
	_, err := client.Do(ctx, payload.Generic{Name: events.OperationCanary, Resource: events.ResourceBridge}, events.DryRun())
	_, err2 := js.Conn().RequestWithContext(ctx, "JS.factro.API.DIRECT.GET.FACTRO_EVENTS_ACME.factro.event.acme.bridge.1.BridgeCanary", nil)
	_, err3 := client.Status(ctx, "")
	return errors.Join(err, err2, err3, w.query(ctx, js, "getUserQuota", "user", 2), w.hear(ctx, js))
}

// tracer is a connection of the command line without its credentials.
type tracer struct{ js jetstream.JetStream }

func (t tracer) JetStream() jetstream.JetStream { return t.js }
func (tracer) Settings() bus.Config             { return bus.Config{APIPrefix: connections["tracer"].api} }
func (tracer) Refused(string) error             { return nil }

// trace finds out what happened to an object, and looks at each stream, also at those that are empty.
func (*programWorld) trace(ctx context.Context, js jetstream.JetStream) error {
	reader := history.On(tracer{js})
	found := timeline.New(reader, prefix, time.Now).Find(ctx, "acme", timeline.Question{ID: "7"})
	errs := found.Errors()
	if len(found.Entries) == 0 {
		errs = append(errs, errors.New("nothing is found"))
	}
	for _, stream := range []string{
		prefix.EventStream("acme"), change.Stream(prefix, "acme"), prefix.ResultStream("acme"), prefix.CommandStream("acme"),
		topology.DelayedStream(prefix, "acme"), prefix.DeadStream("acme"),
	} {
		_, err := reader.Since(ctx, stream, time.Now().Add(-time.Hour))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// query wants an answer of a size.
func (*programWorld) query(ctx context.Context, js jetstream.JetStream, operation, resource string, atLeast int64) error {
	answer, err := events.NewClient(js, "acme").Query(ctx, payload.Generic{Name: operation, Resource: resource, Data: json.RawMessage("{}")})
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, answer)
	if err == nil && n < atLeast {
		err = fmt.Errorf("%s: an answer of %d bytes", operation, n)
	}
	return errors.Join(err, answer.Close())
}

// hear waits for a copy that is sent to an inbox of the program's.
func (w *programWorld) hear(ctx context.Context, js jetstream.JetStream) error {
	sub, err := js.Conn().SubscribeSync(js.Conn().NewInbox())
	if err == nil {
		err = errors.Join(js.Conn().Flush(), w.owner.Publish(sub.Subject, nil))
	}
	if err == nil {
		_, err = sub.NextMsgWithContext(ctx)
	}
	return err
}
