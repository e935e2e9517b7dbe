package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/inspect"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/doctor"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// Secrets that must never be in a report.
const (
	webhookSecret = "seeded-webhook-secret-7d1f3a"
	apiKey        = "seeded-api-key-90be2c"
	natsPassword  = "seeded-nats-password-c4418e"
)

// room is what the checks look at: real files, a real NATS server with the streams of a bridge, and a simulated factro.
type room struct {
	t      *testing.T
	dir    string
	server *natstest.Server
	factro *sim.Sim
	// text is the configuration, which a test may change before it runs the checks.
	text string
	in   doctor.Input
}

// settings change the servers before they start.
type settings struct {
	nats func(*server.Options)
	sim  sim.Config
	// bare leaves out the streams.
	bare bool
}

func newRoom(t *testing.T, set settings) *room {
	t.Helper()
	r := &room{t: t, dir: t.TempDir()}
	r.server = natstest.Start(t, func(o *server.Options) {
		o.SyncAlways, o.HTTPHost, o.HTTPPort = true, "127.0.0.1", -1
		if set.nats != nil {
			set.nats(o)
		}
	})
	if !set.bare {
		r.makeStreams()
	}
	set.sim.Key = apiKey
	var err error
	if r.factro, err = sim.New(set.sim, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(r.factro.Handler())
	t.Cleanup(web.Close)
	r.write("secret", webhookSecret+"\n", 0o600)
	r.write("key", apiKey, 0o600)
	if err := os.Mkdir(r.file("spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.text = fmt.Sprintf(`
nats: {url: %q}
spool: {dir: %q}
clouds:
  - name: acme
    webhook: {header: X-Bridge-Key, secrets: [{file: %q}]}
    api: {url: "%s/api/core", key: {file: %q}}
`, r.server.URL(), r.file("spool"), r.file("secret"), web.URL, r.file("key"))
	r.in = doctor.Input{
		ConfigFile: r.file("bridge.yaml"), Monitoring: "http://" + r.server.Running.MonitorAddr().String(), Disk: disk{free: 1 << 40},
		Dial: doctor.Dial, Now: time.Now,
		Webhook: func(context.Context, config.Cloud) (string, error) { return "https://bridge.example.com", nil },
	}
	return r
}

// makeStreams makes all that a bridge makes.
func (r *room) makeStreams(change ...func(*bus.Config)) {
	r.t.Helper()
	conn := bustest.Running(r.t, r.server, append([]func(*bus.Config){func(c *bus.Config) { c.Takes, c.Carries = true, true }}, change...)...)
	plan := conn.Settings().Plan()
	e := bustest.Ensurer(conn)
	for _, want := range []func() error{
		func() error { return e.CreateStream(r.t.Context(), plan.Advisories("acme")) },
		func() error { return e.CreateStream(r.t.Context(), plan.Delayed("acme")) },
		func() error { return e.CreateStream(r.t.Context(), plan.Bridge("acme")) },
	} {
		if err := want(); err != nil {
			r.t.Fatal(err)
		}
	}
	_, js := r.server.Connect(r.t)
	natstest.Eventually(r.t, "all buckets", func() bool {
		for _, name := range []string{"OBJ_FACTRO_FILES_ACME", "OBJ_FACTRO_ANSWERS_ACME", "OBJ_FACTRO_ORIGINALS_ACME", "KV_FACTRO_KEYS_ACME", "KV_FACTRO_CONTROL"} {
			if _, err := js.Stream(r.t.Context(), name); err != nil {
				return false
			}
		}
		return true
	})
}

func (r *room) file(name string) string { return filepath.Join(r.dir, name) }

func (r *room) write(name, text string, mode os.FileMode) {
	r.t.Helper()
	if err := os.WriteFile(r.file(name), []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(r.file(name), mode); err != nil {
		r.t.Fatal(err)
	}
}

// more adds a top-level setting, or replaces one that is there.
func (r *room) more(old, text string) {
	r.t.Helper()
	if old != "" && !strings.Contains(r.text, old) {
		r.t.Fatalf("no %q in the configuration", old)
	}
	if old == "" {
		r.text += text + "\n"
		return
	}
	r.text = strings.Replace(r.text, old, text, 1)
}

// run makes all checks with the configuration as it is now, as the command does.
func (r *room) run(groups ...string) doctor.Report {
	r.t.Helper()
	r.write("bridge.yaml", r.text, 0o600)
	r.in.Checked, r.in.ConfigErr = config.Check(r.file("bridge.yaml"), nil, true)
	if r.in.ConfigErr == nil {
		r.in.Factro = func(cloud config.Cloud) (doctor.Factro, error) {
			return doctor.NewCoreAPI(r.in.Checked.Config, cloud, "test")
		}
		if c, err := r.connect(); err != nil {
			r.in.NATSErr = err
		} else if r.in.NATS == nil {
			r.in.NATS = inspect.New(c)
		}
	}
	report := doctor.Run(r.t.Context(), r.in, groups)
	r.wantNoSecrets(report)
	return report
}

func (r *room) connect() (*client.Client, error) {
	connection, err := r.in.Checked.Connection()
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(connection)
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(c.Close)
	c.CollectRefusals()
	return c, nil
}

func (r *room) wantNoSecrets(report doctor.Report) {
	r.t.Helper()
	text, err := json.Marshal(report)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, value := range []string{webhookSecret, apiKey, natsPassword} {
		if strings.Contains(string(text), value) {
			r.t.Errorf("the report has a secret:\n%s", text)
		}
	}
}

// disk is one whose room and kind a test decides.
type disk struct {
	free int64
	kind string
}

func (d disk) Free(string) (int64, error)        { return d.free, nil }
func (d disk) FileSystem(string) (string, error) { return d.kind, nil }

// facts changes what is read of a server.
type facts struct {
	doctor.NATS
	change func(*inspect.Facts)
}

func (f facts) Look(ctx context.Context, roles []string) inspect.Facts {
	got := f.NATS.Look(ctx, roles)
	f.change(&got)
	return got
}

// changed has a test change the facts of the real server.
func (r *room) changed(change func(*inspect.Facts)) {
	r.t.Helper()
	r.write("bridge.yaml", r.text, 0o600)
	r.in.Checked, r.in.ConfigErr = config.Check(r.file("bridge.yaml"), nil, true)
	c, err := r.connect()
	if err != nil {
		r.t.Fatal(err)
	}
	r.in.NATS = facts{inspect.New(c), change}
}

// certificate writes a certificate with its key that is valid for a time.
func (r *room) certificate(name string, valid time.Duration) {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(valid)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	r.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
}
