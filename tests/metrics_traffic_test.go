package tests

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// fleet is a bridge for each role, as in a cluster, and three clouds: one that works, one whose key is refused, one
// that fails.
type fleet struct {
	t       testing.TB
	n       *natstest.Server
	works   *factro
	bridges map[string]*bridge // by role
	nc      *nats.Conn
	js      jetstream.JetStream
	results *watch
}

var fleetRoles = []string{"ingress", "egress", "query", "reconcile", "mirror"}

func startFleet(t testing.TB) *fleet {
	t.Helper()
	f := &fleet{t: t, n: natstest.Start(t), works: startFactro(t, sim.Config{}), bridges: map[string]*bridge{}}
	refuses := startFactro(t, sim.Config{Key: "ein-anderer-schluessel"})
	fails := startFactro(t, sim.Config{Faults: sim.Faults{{Kind: sim.FaultError, Status: http.StatusServiceUnavailable}}})
	known := filepath.Join(t.TempDir(), "actions.txt")
	writeFile(t, known, "TaskErfunden\n")
	for _, role := range fleetRoles {
		c := bridgeConfig{
			nats: f.n.URL(), roles: role, more: "reconcile: {grace: 0s}",
			env: []string{ // there is room, and little time
				"FACTRO_BRIDGE_KNOWN_ACTIONS_FILE=" + known, "GOGC=400", "FACTRO_BRIDGE_HTTP_STORE_TIMEOUT=15s",
				"FACTRO_BRIDGE_CLOUDS_0_BATCH_MAX=20", "FACTRO_BRIDGE_CLOUDS_1_BATCH_MAX=20", "FACTRO_BRIDGE_CLOUDS_2_BATCH_MAX=20",
			},
			clouds: map[string]string{"acme": f.works.url, "gesperrt": refuses.url, "gestoert": fails.url},
		}
		if role == "ingress" {
			c.env = append(c.env, "FACTRO_BRIDGE_SPOOL_DIR="+filepath.Join(t.TempDir(), "spool"))
		}
		f.bridges[role] = newBridge(t, c)
		if role != "reconcile" { // it begins when there is something to find
			f.bridges[role].start()
		}
	}
	f.nc, f.js = f.n.Connect(t)
	f.results = watchStream(t, f.js, prefix.ResultStream("acme"))
	return f
}

// exported is what all bridges export now.
func (f *fleet) exported() map[string]*family {
	f.t.Helper()
	all := map[string]*family{}
	for _, role := range fleetRoles {
		status, text := f.bridges[role].get("/metrics")
		if status != http.StatusOK {
			f.t.Fatalf("/metrics of %s is answered with %d", role, status)
		}
		merge(all, exported(f.t, text), role)
	}
	return all
}

// post delivers a request as it is, and wants a status.
func (f *fleet) post(method, cloud, secret, body string, want int) {
	f.t.Helper()
	req, err := http.NewRequest(method, f.bridges["ingress"].http+"/webhooks/"+cloud, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("X-Bridge-Key", secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != want {
		f.t.Errorf("%s to %s with %.60q is answered with %d, want %d", method, cloud, body, resp.StatusCode, want)
	}
}

// webhooks delivers one of each kind, and has one wait in the spool while NATS is away.
func (f *fleet) webhooks() {
	f.t.Helper()
	const right = webhookSecret + "-acme"
	taskChanged := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"action":"TaskStateChanged","context":{"entityId":%q}}`, id, id)
	}
	f.post(http.MethodPost, "acme", right, taskChanged("eins"), http.StatusAccepted)
	f.post(http.MethodPost, "acme", right, taskChanged("eins"), http.StatusAccepted) // again
	f.post(http.MethodPost, "acme", right, `{"action":"TaskErfunden","context":{"entityId":"zwei"}}`, http.StatusAccepted)
	f.post(http.MethodPost, "acme", right, `{"action":"TaskUnbekannt","context":{"entityId":"drei"},"neu":1}`, http.StatusAccepted)
	f.post(http.MethodPost, "acme", right, `kein JSON`, http.StatusBadRequest)
	f.post(http.MethodPost, "acme", right, strings.Repeat(" ", 2<<20), http.StatusRequestEntityTooLarge)
	f.post(http.MethodPost, "acme", right, "", http.StatusNoContent)
	f.post(http.MethodGet, "acme", "", "", http.StatusNoContent)
	f.post(http.MethodPut, "acme", right, "{}", http.StatusMethodNotAllowed)
	f.post("ERFUNDEN", "acme", right, "{}", http.StatusMethodNotAllowed)
	f.post(http.MethodPost, "niemand", right, "{}", http.StatusNotFound)
	f.cutOff(right)
	for range 10 {
		f.post(http.MethodPost, "acme", "falsch", "{}", http.StatusUnauthorized)
	}
	f.post(http.MethodPost, "acme", "falsch", "{}", http.StatusTooManyRequests)

	f.n.Stop()
	f.post(http.MethodPost, "acme", right, taskChanged("gespult"), http.StatusAccepted)
	f.n.Start()
	f.bridges["ingress"].parts(`"spool":"empty"`, `"nats":"ok"`)
	for role, b := range f.bridges {
		waitFor(f.t, role+" is ready again", b.ready)
	}
}

// cutOff announces a longer body than it sends.
func (f *fleet) cutOff(secret string) {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.bridges["ingress"].httpAddress)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprintf(conn, "POST /webhooks/acme HTTP/1.1\r\nHost: bridge\r\nX-Bridge-Key: %s\r\nContent-Length: 100\r\n\r\n{", secret)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		f.t.Errorf("a body that ends too early is answered with %d", resp.StatusCode)
	}
}

// commands sends some of each outcome, and waits for their results, but for those of the clouds that do not work.
func (f *fleet) commands() {
	f.t.Helper()
	command := func(id, cloud, operation, data string, header ...string) {
		msg := nats.NewMsg(subjectOf(f.t, cloud, operation))
		msg.Data = []byte(data)
		for i := 0; i < len(header); i += 2 {
			msg.Header.Set(header[i], header[i+1])
		}
		if len(header) == 0 {
			msg.Header.Set(events.HeaderMessageID, id)
		}
		publish(f.t, f.js, msg)
	}
	event := func(id string, more ...string) []string {
		return append([]string{"ce-specversion", "1.0", "ce-id", id, "ce-source", "urn:test", "ce-type", "com.factro.command.createTask"}, more...)
	}
	command("gesperrt", "gesperrt", "deleteTask", `{"taskId":"eins"}`)
	command("gestoert", "gestoert", "deleteTask", `{"taskId":"eins"}`)
	if _, err := f.js.CreateStream(f.t.Context(), jetstream.StreamConfig{ // of a cloud that was taken out of the configuration
		Name: prefix.CommandStream("niemand"), Subjects: []string{"factro.command.niemand.>"}, Retention: jetstream.WorkQueuePolicy,
	}); err != nil {
		f.t.Fatal(err)
	}
	command("niemand", "niemand", "deleteTask", `{"taskId":"eins"}`)
	command("angewandt", "acme", "createTask", newTask(f.works, "Prüfung"))
	command("falsch", "acme", "createTask", `{"titel":"Prüfung"}`)
	command("abgelehnt", "acme", "updateTask", `{"taskId":"00000000-0000-4000-8000-00000000dead","title":"Prüfung"}`)
	command("probe", "acme", "createTask", newTask(f.works, "nie"), event("probe", "ce-dryrun", "true")...)
	command("spaet", "acme", "createTask", newTask(f.works, "nie"), event("spaet", "ce-expirytime", "2020-01-01T00:00:00Z")...)
	for _, id := range []string{"angewandt", "falsch", "abgelehnt", "probe", "spaet"} {
		f.results.finalOf(f.t, id)
	}
	f.fault(sim.Fault{Kind: sim.FaultRateLimit, Count: 1, RetryAfter: "1"})
	command("gedrosselt", "acme", "createTask", newTask(f.works, "später"))
	f.results.finalOf(f.t, "gedrosselt")
	steer(f.t, f.n, "pause", "commands")
	f.bridges["egress"].obeys("commands", true)
	for i := range 20 { // some of them share a call
		send(f.t, f.js, "acme", "createProject", fmt.Sprintf("projekt-%d", i), fmt.Sprintf(`{"title":"Projekt %d"}`, i))
	}
	steer(f.t, f.n, "resume", "commands")
	for i := range 20 {
		f.results.finalOf(f.t, fmt.Sprintf("projekt-%d", i))
	}
	f.fault(sim.Fault{Kind: sim.FaultCutAfter, Operation: "createTasks", Count: 1})
	command("ungewiss", "acme", "createTasks", fmt.Sprintf(`{"items":[{"title":"ungewiss","targetParentId":%q}]}`, f.works.demo.Package))
	if r := f.results.finalOf(f.t, "ungewiss"); r.Outcome != events.Dead {
		f.t.Errorf("a create that was cut is %s", r.Outcome)
	}
}

func (f *fleet) fault(fault sim.Fault) {
	f.t.Helper()
	if err := f.works.SetFaults(sim.Faults{fault}); err != nil {
		f.t.Fatal(err)
	}
}

// queries asks what is there, what is not, and a cloud that refuses.
func (f *fleet) queries() {
	f.t.Helper()
	for _, q := range []struct{ cloud, resource, operation, data string }{
		{"acme", "user", "getUserQuota", ""},
		{"acme", "task", "getTask", `{"taskId":"00000000-0000-4000-8000-00000000dead"}`},
		{"acme", "task", "erfunden", ""},
		{"gesperrt", "user", "getUserQuota", ""},
		{"gestoert", "user", "getUserQuota", ""},
	} {
		waitFor(f.t, "an answer to "+q.operation, func() bool {
			ask := &nats.Msg{Subject: prefix.Query(q.cloud, q.resource, q.operation), Data: []byte(q.data), Header: nats.Header{"Factro-Max-Age": {"1h"}}}
			_, err := f.nc.RequestMsg(ask, patience)
			return err == nil
		})
	}
}

// losses has deliveries get lost, and waits until they were found. The reconciliation is one at the start and not one
// each second: it would read all that the strangers sent again and again.
func (f *fleet) losses() {
	f.t.Helper()
	f.bridges["ingress"].register(f.works, "acme")
	if err := f.works.SetDelivery(sim.Delivery{Loss: 1}); err != nil {
		f.t.Fatal(err)
	}
	f.works.Fire("TaskStateChanged", "00000000-0000-4000-8000-000000000001")
	f.bridges["reconcile"].start()
	waitFor(f.t, "the loss is mended", func() bool {
		published := f.bridges["reconcile"].metric(`factro_bridge_reconcile_published_total{factro_cloud="acme"}`)
		return published != "absent" && published != "0"
	})
	if err := f.works.SetDelivery(sim.Delivery{}); err != nil {
		f.t.Fatal(err)
	}
}

// strangers delivers webhooks about as many different tasks, of ids that nobody has seen before.
func (f *fleet) strangers(tasks int) {
	f.t.Helper()
	const connections = 128 // many at once share their way to the disk and back
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: patience}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for c := range connections {
		group.Go(func() {
			for i := c; i < tasks; i += connections {
				body := fmt.Sprintf(`{"action":"TaskStateChanged","context":{"entityId":"00000000-0000-4000-8000-%012d"}}`, i)
				if status := f.bridges["ingress"].webhook(client, "acme", body); status != http.StatusAccepted {
					f.t.Errorf("webhook %d is answered with %d", i, status)
					return
				}
			}
		})
	}
	group.Wait()
}

// mirror has an object change, so that the mirror has something to read and to publish.
func (f *fleet) mirror() {
	f.t.Helper()
	waitFor(f.t, "the first copy is complete", func() bool {
		return strings.Contains(f.bridges["mirror"].log.String(), "the mirror has read all lists")
	})
	m := &mirrored{t: f.t, f: f.works}
	m.call(http.MethodPut, "/projects/"+f.works.demo.Project, map[string]any{"title": "geändert"})
	f.post(http.MethodPost, "acme", webhookSecret+"-acme", fmt.Sprintf(`{"action":"ProjectTitleChanged","context":{"entityId":%q}}`, f.works.demo.Project), http.StatusAccepted)
	waitFor(f.t, "a change is published", func() bool {
		return f.bridges["mirror"].metric(`factro_bridge_mirror_changes_total{factro_cloud="acme",factro_resource="project",origin="event",what="updated"}`) == "1"
	})
}
