package bus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
	"github.com/factro-bridge/factro-bridge/tests/process"
)

// reloading is a broker that gets other users while it runs, as an operator's does. It is a process of its own: when a server reloads, it
// writes where the API of JetStream is imported while requests read it, and the race detector would report that of a server in here.
type reloading struct {
	*broker
	t    testing.TB
	file string // its configuration
	sys  *nats.Conn
}

func startReloading(t testing.TB, users string) *reloading {
	t.Helper()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	b := &reloading{broker: &broker{&natstest.Server{Options: server.Options{Port: port}}}, t: t}
	dir := t.TempDir()
	b.file = filepath.Join(dir, "reloading.conf")
	p, _, err := process.NATS(process.Options{Name: "reloading", Dir: dir}, b.configuration(users))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if b.sys, err = nats.Connect(strings.Replace(b.url(), "//", "//sys:s@", 1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.sys.Close)
	return b
}

// configuration has the users beside an administrator without a password, for the tests' own connections.
func (b *reloading) configuration(users string) string {
	return fmt.Sprintf(`
listen: "127.0.0.1:%d"
jetstream {store_dir: %q, max_file_store: 1TB}
accounts {"$SYS" {users: [{user: sys, password: s}]}}
no_auth_user: admin
authorization {users: [{user: admin, password: a}, %s]}
`, b.Options.Port, filepath.Join(filepath.Dir(b.file), "store"), users)
}

// reload gives the server other users, and returns when they count.
func (b *reloading) reload(users string) {
	b.t.Helper()
	if err := os.WriteFile(b.file, []byte(b.configuration(users)), 0o600); err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.sys.Request("$SYS.REQ.SERVER."+b.sys.ConnectedServerId()+".RELOAD", nil, patience)
	if err != nil {
		b.t.Fatal(err)
	}
	var said struct{ Error json.RawMessage }
	if err := json.Unmarshal(answer.Data, &said); err != nil || said.Error != nil {
		b.t.Fatalf("the server does not reload: %s, %v", answer.Data, err)
	}
}
