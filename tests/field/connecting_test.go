package field

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const withTLS = "tls: {cert_file: $dir/nats.crt, key_file: $dir/nats.key"

// natsFiles are a certificate for a server, another one, and passwords.
func natsFiles(t testing.TB) map[string]string {
	t.Helper()
	cert, key := certificate(t, time.Now())
	other, _ := certificate(t, time.Now())
	return map[string]string{"nats.crt": cert, "nats.key": key, "other.crt": other, "user": "bridge\n", "password": "right-password\n"}
}

// Why the first connection fails is said in readiness, in the log and by every command.
func TestFirstConnection(t *testing.T) {
	t.Parallel()
	files := natsFiles(t)
	const login = `authorization: {user: bridge, password: right-password}`
	for name, tt := range map[string]struct {
		set     setting
		command bool // whether a command can connect like that, too
		said    string
	}{
		"nobody listens":                 {setting{nats: "-", natsURL: "nats://127.0.0.1:1"}, true, "refused"},
		"an unknown host":                {setting{nats: "-", natsURL: "nats://nats.invalid:4222"}, true, "nats.invalid"},
		"a wrong password":               {setting{nats: login, natsURL: "nats://bridge:wrong@$nats"}, true, "uthorization"},
		"no password":                    {setting{nats: login}, true, "uthorization"},
		"another CA":                     {setting{nats: withTLS + "}", natsURL: "tls://$nats", broker: "tls: {ca_file: $dir/other.crt}"}, false, "certificate"},
		"a server that speaks TLS first": {setting{nats: withTLS + ", handshake_first: true}", natsURL: "tls://$nats", broker: "tls: {ca_file: $dir/nats.crt}"}, false, "handshake_first"},
		"a server that does not":         {setting{nats: withTLS + "}", natsURL: "tls://$nats", broker: "tls: {ca_file: $dir/nats.crt, handshake_first: true}"}, false, "handshake_first"},
		"a server without JetStream":     {setting{nats: "#jetstream"}, false, "JetStream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.set.files = files
			s := prepare(t, tt.set)
			s.start()
			s.await("readiness says why", func() bool {
				status, text := s.get("/readyz")
				return status == http.StatusServiceUnavailable && strings.Contains(text, tt.said)
			})
			s.logs(`"level":"`, tt.said)
			if tt.command {
				url := s.fill(tt.set.natsURL)
				if url == "" {
					url = "nats://" + s.address
				}
				code, out := s.run("send", "createTask", "title=x", "targetParentId=y", "--cloud", acme, "--nats", url, "--timeout", "3s")
				if code == 0 || !strings.Contains(out, tt.said) {
					t.Errorf("send ended with %d and does not say %q:\n%s", code, tt.said, out)
				}
			}
			if n := s.lines(tt.said); n > 3 {
				t.Errorf("the same is logged %d times", n)
			}
		})
	}
}

// An outage is said once, and not at each of the attempts to connect again.
func TestOutageIsSaidOnce(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	s.nats.Kill()
	s.await("readiness knows", func() bool { status, _ := s.get("/readyz"); return status == http.StatusServiceUnavailable })
	time.Sleep(8 * time.Second) //nolint:forbidigo // in which it was logged ten times
	if n := s.lines("connection refused") + s.lines("no servers available"); n > 3 {
		t.Errorf("the same is logged %d times", n)
	}
	s.startNATS()
	s.await("the bridge is ready", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
}

// roundTrip: a webhook goes out, and a command comes back.
func (s *site) roundTrip() {
	s.t.Helper()
	entity := uuid.NewString()
	if r := s.send(request{body: body(entity)}); r.status != http.StatusAccepted {
		s.t.Fatalf("a webhook: %d %s", r.status, r.body)
	}
	s.event(entity)
	title := uuid.NewString()
	if r := s.result(s.create(title)); r.outcome != "applied" || s.tasks(title) != 1 {
		s.t.Errorf("a command is %s: %s", r.outcome, r.data)
	}
}

// NATS as people run it: a webhook goes out and a command comes back.
func TestConnectingToNATS(t *testing.T) {
	t.Parallel()
	files := natsFiles(t)
	for name, set := range map[string]setting{
		"a user and a password in files": {
			nats: "authorization: {user: bridge, password: right-password}", broker: "user_file: $dir/user, password_file: $dir/password",
		},
		"TLS first":            {nats: withTLS + ", handshake_first: true}", natsURL: "tls://$nats", broker: "tls: {ca_file: $dir/nats.crt, handshake_first: true}"},
		"a websocket":          {nats: "websocket: {port: $port, no_tls: true}", natsURL: "ws://127.0.0.1:$port"},
		"one dead of two URLs": {natsURL: "nats://127.0.0.1:1,nats://$nats"},
		"an inbox of its own":  {broker: "inbox_prefix: _INBOX.bridge"},
		"a domain":             {nats: "jetstream: {store_dir: $dir/nats, domain: hub}", broker: "domain: hub"},
		"an API prefix":        {nats: "jetstream: {store_dir: $dir/nats, domain: hub}", broker: "api_prefix: $JS.hub.API"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			for _, text := range []*string{&set.nats, &set.natsURL} {
				*text = strings.ReplaceAll(*text, "$port", port)
			}
			set.files = files
			s := prepareOur(t, set)
			s.start()
			s.await("the bridge is ready", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
			s.roundTrip()
			// A restart of the server is survived in the same way.
			s.nats.Kill()
			s.startNATS()
			s.await("the bridge is ready again", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
			s.await("we are, too", s.nc.IsConnected)
			s.roundTrip()
		})
	}
}

// prepareOur is prepare for a server to which we have to connect in another way, too.
func prepareOur(t testing.TB, set setting) *site {
	t.Helper()
	s := prepare(t, set)
	switch {
	case strings.Contains(set.nats, "handshake_first"):
		s.connect(nats.RootCAs(filepath.Join(s.dir, "nats.crt")), nats.TLSHandshakeFirst())
	case strings.Contains(set.nats, "authorization"):
		s.connect(nats.UserInfo("bridge", "right-password"))
	}
	return s
}

// At a leaf node, the streams may be in the hub's domain.
func TestLeafNode(t *testing.T) {
	t.Parallel()
	hub := prepare(t, setting{nats: "jetstream: {store_dir: $dir/nats, domain: hub}\nleafnodes: {listen: \"127.0.0.1:" + freePort(t) + "\"}"})
	port := hub.set.nats[strings.LastIndexByte(hub.set.nats, ':')+1 : len(hub.set.nats)-2]
	leaf := prepare(t, setting{
		nats:   "jetstream: {store_dir: $dir/nats, domain: leaf}\nleafnodes: {remotes: [{url: \"nats-leaf://127.0.0.1:" + port + "\"}]}",
		broker: "domain: hub",
	})
	leaf.start()
	leaf.await("the bridge is ready", func() bool { status, _ := leaf.get("/readyz"); return status == http.StatusOK })
	leaf.nc, leaf.js = hub.nc, hub.js
	leaf.roundTrip()
}

// Streams with which somebody else takes our subjects, or that do not acknowledge.
func TestStrangeStreams(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stream jetstream.StreamConfig
		said   string // in the log
	}{
		"another stream has the subjects of events":     {jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"factro.event.>"}}, "THEIRS"},
		"another stream has all":                        {jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"factro.>"}}, "THEIRS"},
		"our stream does not acknowledge":               {jetstream.StreamConfig{Name: "FACTRO_EVENTS_ACME", Subjects: []string{"factro.event.acme.>"}, NoAck: true}, "no_ack"},
		"our stream keeps only what somebody waits for": {jetstream.StreamConfig{Name: "FACTRO_EVENTS_ACME", Subjects: []string{"factro.event.acme.>"}, Retention: jetstream.InterestPolicy}, "interest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, setting{})
			_, err := s.js.CreateStream(t.Context(), tt.stream)
			must(t, err)
			s.start()
			s.await("readiness names the stream", func() bool { _, text := s.get("/readyz"); return strings.Contains(text, tt.stream.Name) })
			s.logs(tt.said)
			if r := s.send(request{}); r.status == http.StatusAccepted {
				t.Error("a webhook is answered 202 that our stream does not have")
			}
			code, out := s.run("streams", "diff", "--config", s.dir+"/bridge.yaml")
			if code == 0 || !strings.Contains(out, tt.stream.Name) {
				t.Errorf("streams diff ends with %d:\n%s", code, out)
			}
		})
	}
}

// Our stream forgets at once which messages it has.
func TestNoDuplicateWindow(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	stream, err := s.js.Stream(t.Context(), "FACTRO_EVENTS_ACME")
	must(t, err)
	cfg := stream.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	_, err = s.js.UpdateStream(t.Context(), cfg)
	must(t, err)
	code, out := s.run("streams", "diff", "--config", s.dir+"/bridge.yaml")
	if code == 0 || !strings.Contains(out, "uplicate") {
		t.Errorf("streams diff ends with %d:\n%s", code, out)
	}
}

// Somebody answers on our subjects what is no acknowledgement.
func TestPlainResponder(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"ok": "ok", "an empty answer": "", "JSON": `{"ok":true}`, "an acknowledgement of another stream": `{"stream":"THEIRS","seq":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, setting{})
			_, err := s.nc.Subscribe("factro.event.>", func(msg *nats.Msg) { _ = msg.Respond([]byte(answer)) })
			must(t, err)
			must(t, s.nc.Flush())
			for range 5 { // whose answer comes first is a matter of luck
				entity := uuid.NewString()
				if r := s.send(request{body: body(entity)}); r.status == http.StatusAccepted {
					s.event(entity)
				}
			}
			s.roundTrip()
		})
	}
}

// The store of NATS was restored from a backup, in parts: a consumer is ahead of its stream.
func TestConsumerAheadOfItsStream(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	stored := filepath.Join(s.dir, "nats", "jetstream", "$G", "streams", "FACTRO_COMMANDS_ACME", "msgs")
	backup := filepath.Join(s.dir, "backup")
	s.nats.Kill()
	must(t, os.CopyFS(backup, os.DirFS(stored)))
	s.startNATS()
	for range 3 {
		s.await("we are connected", s.nc.IsConnected)
		s.await("the bridge is ready", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
		s.roundTrip()
	}
	s.nats.Kill()
	must(t, os.RemoveAll(stored))
	must(t, os.CopyFS(stored, os.DirFS(backup)))
	s.startNATS()
	s.await("we are connected", s.nc.IsConnected)
	s.await("the bridge is ready", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
	for range 5 { // the consumer takes the first ones for done
		s.roundTrip()
	}
}

// Limits of an account name the setting that helps.
func TestAccountLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ nats, said string }{
		"a duplicate window above the limit": {`jetstream: {store_dir: $dir/nats, limits: {duplicate_window: "1m"}}`, "nats.duplicate_window"},
		"too few streams":                    {"accounts: {A: {jetstream: {max_streams: 2}, users: [{user: a, password: b}]}}\nno_auth_user: a\njetstream: {store_dir: $dir/nats}", "streams"},
		"no room":                            {"accounts: {A: {jetstream: {max_file: 1MB}, users: [{user: a, password: b}]}}\nno_auth_user: a\njetstream: {store_dir: $dir/nats}", "nats.max_bytes"},
		"no JetStream in the account":        {"accounts: {A: {users: [{user: a, password: b}]}}\nno_auth_user: a\njetstream: {store_dir: $dir/nats}", "JetStream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, setting{nats: tt.nats})
			s.start()
			s.logs(`"level":"ERROR"`, tt.said)
			if status, text := s.get("/readyz"); status == http.StatusOK {
				t.Errorf("it says that it is ready: %s", text)
			}
		})
	}
}

// Headers are read whatever the case of their names.
func TestHeaderCase(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, header := range map[string]map[string][]string{
		"Traceparent":            {"Traceparent": {trace}},
		"TRACEPARENT":            {"TRACEPARENT": {trace}},
		"attributes in capitals": {"Traceparent": {trace}, "Ce-Specversion": {"1.0"}, "Ce-Id": {"$id"}, "Ce-Source": {"urn:test"}, "Ce-Type": {"com.factro.command.createTask"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t)
			id := uuid.NewString()
			for name, values := range header {
				header[name] = []string{strings.ReplaceAll(values[0], "$id", id)}
			}
			header["Nats-Msg-Id"] = []string{id}
			s.command("createTask", fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, id, examplePackage), header)
			if r := s.result(id); r.outcome != "applied" || !strings.Contains(r.header.Get("traceparent"), trace[3:35]) {
				t.Errorf("%s, traceparent %q: %s", r.outcome, r.header.Get("traceparent"), r.data)
			}
		})
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}
