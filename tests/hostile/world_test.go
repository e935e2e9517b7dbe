package hostile

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
	"github.com/factro-bridge/factro-bridge/tests/process"
)

// The two clouds: the attacker's and the victim's.
const (
	acme = "acme"
	beta = "beta"
)

// never are what no log may have: the secrets of both clouds, and signs of a crash.
var never = [][]byte{
	[]byte(secretOf(acme)), []byte(secretOf(beta)), []byte(keyOf(acme)), []byte(keyOf(beta)),
	[]byte("panic:"), []byte("WARNING: DATA RACE"),
}

func secretOf(cloud string) string { return "webhook-secret-of-" + cloud + "-4fb1c2" }
func keyOf(cloud string) string    { return "api-key-of-" + cloud + "-9d07ae" }

// setting is what rows vary of their surroundings. Texts that say so may contain $dir, the row's folder.
type setting struct {
	nats     natsSetting
	embedded bool // the NATS server inside the first bridge instead of a process of its own

	roles    []string // of each bridge; one bridge with ingress, egress and query if empty
	spool    bool     // whether the bridges have one
	tls      bool     // whether they take webhooks by TLS
	httpMore string   // further fields of "http", such as "store_timeout: 2s"
	natsMore string   // further fields of "nats", such as "manage: false"; $dir
	apiMore  string   // further fields of each cloud's "api", such as "timeout: 2s"
	config   string   // further lines of the configuration; $dir
	env      []string // of the bridges, such as "GOMEMLIMIT=200MiB"
	files    int      // ulimit -n of the bridges; as it is if zero

	core   map[string]func(core http.Handler) http.Handler // for each cloud, what stands before or in place of the simulator
	client []nats.Option                                   // of our own connection to NATS, which may do everything

	bound time.Duration // of the whole row; 2 minutes if zero, 30 in the long form
}

const shutdownTimeout = 5 * time.Second

// world is one row's processes.
type world struct {
	t      testing.TB
	ctx    context.Context //nolint:containedctx // the row's, which ends all that it began
	dir    string
	logs   string
	attack string
	set    setting

	natsAddress string
	nats        *process.Process
	factro      map[string]*core // by cloud
	bridges     []*node
	nc          *nats.Conn
	js          jetstream.JetStream
	books       *books
	before      figures // of beta, before the attack
}

// newWorld starts everything, waits until it is ready, and measures beta.
func newWorld(t testing.TB, attack string, set setting) *world {
	t.Helper()
	attacking(t)
	w := &world{t: t, dir: t.TempDir(), attack: attack, set: set, factro: map[string]*core{}}
	if w.set.bound == 0 {
		w.set.bound = time.Duration(scale(2, 30)) * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), w.set.bound)
	w.ctx = ctx
	if w.logs = w.dir; *logs != "" {
		w.logs = filepath.Join(*logs, strings.ReplaceAll(t.Name(), "/", "_"))
		must(t, os.MkdirAll(w.logs, 0o700))
	}
	t.Cleanup(func() {
		cancel()
		for _, n := range w.bridges {
			n.probes.stop()
			n.Kill()
			if t.Failed() && n.Process != nil {
				t.Logf("the end of the log of %s:\n%s", n.Name, n.Words())
			}
		}
		w.nats.Kill()
	})
	port, err := freeport.New()
	must(t, err)
	w.natsAddress = fmt.Sprintf("127.0.0.1:%d", port)
	for _, cloud := range []string{acme, beta} {
		w.factro[cloud] = startCore(w, cloud)
	}
	if len(set.roles) == 0 {
		w.set.roles = []string{"ingress, egress, query"}
	}
	for i := range w.set.roles {
		w.bridges = append(w.bridges, &node{w: w, n: i})
	}
	if set.embedded {
		must(t, w.bridges[0].start())
	} else {
		must(t, w.startNATS())
	}
	options := append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.RetryOnFailedConnect(true)}, set.client...)
	w.nc, err = nats.Connect("nats://"+w.natsAddress, options...)
	must(t, err)
	t.Cleanup(w.nc.Close)
	w.js, err = jetstream.New(w.nc)
	must(t, err)
	w.books = newBooks(w)
	for _, n := range w.bridges {
		if n.Process == nil {
			must(t, n.start())
		}
		w.await("the bridge is ready", func() bool { return n.status("/readyz") == http.StatusOK })
	}
	w.await("all streams are there", func() bool { // with a spool, bridges are ready before
		for _, name := range []string{
			prefix.EventStream(acme), prefix.EventStream(beta), prefix.CommandStream(acme), prefix.CommandStream(beta),
			prefix.ResultStream(acme), prefix.ResultStream(beta), prefix.DeadStream(acme), prefix.DeadStream(beta),
		} {
			if _, err := w.js.Stream(w.ctx, name); err != nil {
				return false
			}
		}
		return true
	})
	for _, n := range w.bridges {
		n.probes = startProbes(w, n)
	}
	w.before = w.measure(beta)
	return w
}

// node is one bridge.
type node struct {
	*process.Process
	w           *world
	n           int
	http, admin string // addresses; a restart takes the same ones
	probes      *probes
}

// start starts a bridge.
func (n *node) start() (err error) {
	w := n.w
	spool, broker := "", fmt.Sprintf("url: %q", "nats://"+w.natsAddress)
	if w.set.spool {
		spool = fmt.Sprintf("spool: {dir: %q}\n", n.spoolDir())
	}
	if w.set.embedded && n.n == 0 {
		broker = fmt.Sprintf("embedded: {data_dir: %q, listen: %q}", filepath.Join(w.dir, "embedded"), w.natsAddress)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "http: {listen: %q%s}\nadmin: {listen: %q}\nnats: {%s%s}\nroles: [%s]\nshutdown_timeout: %s\n%s%s\nclouds:\n",
		cmp.Or(n.http, "127.0.0.1:0"), more(w.set.httpMore)+w.certificate(), cmp.Or(n.admin, "127.0.0.1:0"), broker, more(w.set.natsMore),
		w.set.roles[n.n], shutdownTimeout, spool, w.set.config)
	for _, cloud := range []string{acme, beta} {
		fmt.Fprintf(&text, "  - name: %s\n    webhook: {header: X-Bridge-Key, secrets: [{value: %s}]}\n"+
			"    api: {url: %q, key: {value: %s}, requests_per_minute: 100000%s}\n",
			cloud, secretOf(cloud), w.factro[cloud].url, keyOf(cloud), more(w.set.apiMore))
	}
	path := filepath.Join(w.dir, fmt.Sprintf("bridge-%d.yaml", n.n))
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text.String(), "$dir", w.dir)), 0o600); err != nil {
		return fmt.Errorf("configuration of the bridge: %w", err)
	}
	args := []string{*binary, "run", "--config", path}
	if w.set.files > 0 {
		args = append([]string{"bash", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, w.set.files), "bash"}, args...)
	}
	n.Process, err = process.Start(process.Options{
		Name: fmt.Sprintf("bridge-%d", n.n), Dir: w.dir, Logs: w.logs, Env: w.set.env, Up: n.started, Never: never,
	}, args...)
	return err //nolint:wrapcheck // it names the process
}

// natsSetting is what rows vary of the NATS server.
type natsSetting struct {
	maxFileStore int    // bytes; no limit of ours if zero
	maxPayload   int    // bytes; 8 MiB if zero
	config       string // further lines of its configuration, such as "authorization {…}"; $dir is the row's folder
}

// startNATS starts the server; after the first time on the same data and the same port.
func (w *world) startNATS() (err error) {
	set, limit := w.set.nats, ""
	if set.maxPayload == 0 {
		set.maxPayload = 8 << 20
	}
	if set.maxFileStore > 0 {
		limit = fmt.Sprintf(", max_file_store: %d", set.maxFileStore)
	}
	w.nats, _, err = process.NATS(process.Options{Name: "nats", Dir: w.dir, Logs: w.logs}, fmt.Sprintf(
		"server_name: hostile\nlisten: %q\nmax_payload: %d\njetstream: {store_dir: %q%s}\n%s\n",
		w.natsAddress, set.maxPayload, filepath.Join(w.dir, "nats"), limit, strings.ReplaceAll(set.config, "$dir", w.dir)))
	return err //nolint:wrapcheck // it names the process
}

// certificate is the field of "http" for a certificate, made at the first call.
func (w *world) certificate() string {
	if !w.set.tls {
		return ""
	}
	cert, key := filepath.Join(w.dir, "tls.crt"), filepath.Join(w.dir, "tls.key")
	if _, err := os.Stat(key); err != nil {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(w.t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
		der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
		must(w.t, err)
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		must(w.t, err)
		must(w.t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
		must(w.t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	}
	return fmt.Sprintf(", tls: {cert_file: %q, key_file: %q}", cert, key)
}

// webhookURL is the address for webhooks of a bridge.
func (w *world) webhookURL(node int) string {
	if w.set.tls {
		return "https://" + w.bridges[node].http
	}
	return "http://" + w.bridges[node].http
}

func (n *node) spoolDir() string { return filepath.Join(n.w.dir, fmt.Sprintf("spool-%d", n.n)) }

func more(fields string) string {
	if fields == "" {
		return ""
	}
	return ", " + fields
}

// streamOf is the name of the stream that holds a subject.
func (w *world) streamOf(subject string) (string, error) {
	name, err := w.js.StreamNameBySubject(w.ctx, subject)
	if err != nil {
		return "", fmt.Errorf("stream of %s: %w", subject, err)
	}
	return name, nil
}

const prefix = events.Prefix(events.DefaultPrefix)

// await polls until ok, and fails the row when its time is over.
func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-w.ctx.Done():
			w.t.Fatalf("waited in vain: %s: %v", what, context.Cause(w.ctx))
		case <-tick.C:
		}
	}
}

// pause lets time go by: for how long an attack lasts. Nothing is concluded from its end.
func (w *world) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
	}
}

// must fails the row for a mistake of the surroundings.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
