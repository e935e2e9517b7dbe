package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/tests/authconf"
)

// guarded is a site whose server asks for TLS and reads deploy/nats/auth.conf, its examples too.
type guarded struct {
	*site
	ca    string            // file
	seeds map[string]string // user -> file
}

const password = "nur-im-Test"

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	dir := t.TempDir()
	g := &guarded{site: &site{}, ca: filepath.Join(dir, "ca.pem")}
	text, err := os.ReadFile("../../deploy/nats/auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	roles, programs, ok := strings.Cut(string(text), "  # Programs of yours")
	if !ok {
		t.Fatal("auth.conf has no programs")
	}
	conf := roles + authconf.WithExamples("  #"+programs)
	conf = strings.NewReplacer("acme", "demo", "ACME", "DEMO").Replace(conf)
	for _, user := range []string{"sender", "subscriber", "asker"} { // by password, too
		key := "{nkey: " + strings.ToUpper(user) + "}"
		conf = strings.Replace(conf, key, key+", {user: "+user+", password: "+password+"}", 1)
	}
	conf, g.seeds = authconf.WithKeys(t, conf)
	main := filepath.Join(dir, "nats.conf")
	conf = "jetstream: {store_dir: " + filepath.Join(dir, "js") + "}\n" + conf
	if err := os.WriteFile(main, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	owner, err := nats.NkeyOptionFromSeed(g.seeds["owner"])
	if err != nil {
		t.Fatal(err)
	}
	g.useNATS(t, natstest.StartConfig(t, main, func(o *server.Options) {
		o.MaxPayload = 64 << 10
		o.TLSConfig, o.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, g.ca)}}, true
	}), owner, nats.RootCAs(g.ca))
	g.access = ", nkey_file: " + g.seeds["owner"] + ", tls: {ca_file: " + g.ca + "}"
	api := g.startFactro(t)
	g.startBridge(t, api)
	return g
}

// certificate makes one for the server, and writes it to a file for those who are to trust it.
func certificate(t *testing.T, file string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// as is the environment of a program with an account of its own.
func (g *guarded) as(user, inboxes string, key bool) []string {
	env := []string{"NATS_CA=" + g.ca, "NATS_JS_API_PREFIX=JS.factro.API", "NATS_INBOX_PREFIX=" + inboxes}
	if key {
		return append(env, "NATS_NKEY="+g.seeds[user])
	}
	return append(env, "NATS_USER="+user, "NATS_PASSWORD="+password)
}

// The accounts of the examples in deploy/nats/auth.conf are enough for the pages' programs, over TLS, with a password or a key.
func TestPageRights(t *testing.T) {
	t.Parallel()
	inEachLanguage(t, func(t *testing.T, l *language) {
		g := startGuarded(t)
		p := g.page(t, l)
		for name, key := range map[string]bool{"password": false, "key": true} {
			if key && l.interpreter == "python3" && nkeysAbsent != "" {
				t.Logf("DID NOT RUN: python3: %s, so nothing is proven about keys in docs/python.md", nkeysAbsent)
				continue
			}
			p.env = g.as("sender", "_INBOX.billing", key)
			p.applied(t, "command", cloud, "task.createTask", g.newTask(name), name)

			// Copies do not reach these inboxes, so the result is read from the stream.
			p.env = g.as("sender", "_INBOX.elsewhere", key)
			p.applied(t, "command", cloud, "task.createTask", g.newTask(name+" 2"), name+" 2")
		}
		p.env = append(g.as("sender", "_INBOX.billing", false), "NATS_CA=") // whoever trusts only what everybody trusts
		p.fails(t, 1, "certificate", "command", cloud, "task.createTask", g.newTask("fremd"), "fremd")

		if _, err := g.js.CreateConsumer(t.Context(), prefix.EventStream(cloud), jetstream.ConsumerConfig{
			Durable: "mirror", FilterSubject: "factro.event.demo.task.*.TaskCreated", AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: 30 * time.Second, MaxAckPending: 1, MaxDeliver: -1,
		}); err != nil {
			t.Fatal(err)
		}
		p.env = g.as("subscriber", "_INBOX.mirror", false)
		mirror := p.launch(t, "subscribe", cloud, "mirror")
		if got := mirror.next(t); got["type"] != "com.factro.TaskCreated" {
			t.Errorf("got %v", got)
		}
		g.acknowledged(t, "mirror", 1)
		mirror.stop(t)

		// The answer is in the object store, where the program may make no consumer.
		long := strings.Repeat("größe ", 4000)
		for _, id := range []string{"l-1", "l-2", "l-3"} {
			create := payload.CreateTask{Title: id, TargetParentID: g.factro.Demo().Package, Description: payload.Set(long)}
			if _, err := events.NewClient(g.js, cloud).Do(t.Context(), create); err != nil {
				t.Fatal(err)
			}
		}
		p.env = g.as("asker", "_INBOX.report", false)
		out, errOut, code := p.run(t, "query", cloud, "task.listTasks")
		if code != 0 || strings.Count(out, long) != 3 {
			t.Errorf("exit code %d, %d bytes: %s", code, len(out), errOut)
		}
	})
}
