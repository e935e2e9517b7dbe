package bus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// operator is an operator with two accounts: one of the system, and one with JetStream whose users are the bridge's.
type operator struct {
	t       testing.TB
	account nkeys.KeyPair
	claims  *jwt.AccountClaims
	keys    nkeys.KeyPair
}

func keyPair(t testing.TB, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	k, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return k, public
}

// newOperator returns an operator, and what a server needs to know of it.
func newOperator(t testing.TB) (*operator, func(*server.Options)) {
	t.Helper()
	keys, public := keyPair(t, nkeys.CreateOperator)
	_, system := keyPair(t, nkeys.CreateAccount)
	account, name := keyPair(t, nkeys.CreateAccount)
	o := &operator{t, account, jwt.NewAccountClaims(name), keys}
	o.claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	return o, func(opts *server.Options) {
		opts.TrustedOperators = []*jwt.OperatorClaims{jwt.NewOperatorClaims(public)}
		opts.SystemAccount = system
		resolver := &server.MemAccResolver{}
		for id, text := range map[string]string{system: o.encode(jwt.NewAccountClaims(system)), name: o.encode(o.claims)} {
			if err := resolver.Store(id, text); err != nil {
				t.Fatal(err)
			}
		}
		opts.AccountResolver = resolver
	}
}

func (o *operator) encode(c *jwt.AccountClaims) string {
	o.t.Helper()
	text, err := c.Encode(o.keys)
	if err != nil {
		o.t.Fatal(err)
	}
	return text
}

// user makes a user and writes its credentials into the file. It expires then, or never if that is 0.
func (o *operator) user(file string, expires time.Time) (public string) {
	o.t.Helper()
	key, public := keyPair(o.t, nkeys.CreateUser)
	claims := jwt.NewUserClaims(public)
	if !expires.IsZero() {
		claims.Expires = expires.Unix()
	}
	text, err := claims.Encode(o.account)
	if err != nil {
		o.t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		o.t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		o.t.Fatal(err)
	}
	replaceFile(o.t, file, creds)
	return public
}

// replaceFile replaces a file at once, as a mounted secret is.
func replaceFile(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// TestCredentialsEnd: a user expires, or is revoked, while the bridge runs. It tries until the file holds another one.
func TestCredentialsEnd(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"expired", "revoked"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			o, trusted := newOperator(t)
			broker := startBroker(t, trusted)
			name := o.claims.Subject
			account, err := broker.Running.LookupAccount(name)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "bridge.creds")
			public := o.user(file, time.Time{})
			log, book := newLog()
			b := run(t, broker.connect(t, log, hasty, func(c *Config) { c.CredsFile = file }))
			storeEvent(t, b, "e-1")
			if how == "revoked" {
				o.claims.Revoke(public)
				broker.Running.UpdateAccountClaims(account, o.claims)
			} else { // only a connection that is made with it ends with it
				o.user(file, time.Now().Add(3*time.Second))
				if err := b.nc.ForceReconnect(); err != nil {
					t.Fatal(err)
				}
			}
			unready(t, b, "not connected")
			tries(t, b, 5) // more often than the client would have it
			if err := b.Health().Ready(); err == nil {
				t.Error("it is ready")
			}
			o.user(file, time.Time{})
			ready(t, b)
			storeEvent(t, b, "e-2")
			if strings.Contains(book.String(), "SU") && strings.Contains(book.String(), "SEED") {
				t.Error("the seed is logged")
			}
		})
	}
}

// TestNkeyReplaced: the server knows another key by now, and the file holds it a while later.
func TestNkeyReplaced(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bridge.nk")
	seed := func() (seed []byte, user string) {
		key, public := keyPair(t, nkeys.CreateUser)
		seed, err := key.Seed()
		if err != nil {
			t.Fatal(err)
		}
		return seed, fmt.Sprintf("{nkey: %s}", public)
	}
	old, user := seed()
	replaceFile(t, file, old)
	broker := startReloading(t, user)
	log, book := newLog()
	b := run(t, broker.connect(t, log, hasty, func(c *Config) { c.NkeyFile = file }))
	storeEvent(t, b, "e-1")
	next, user := seed()
	broker.reload(user)
	unready(t, b, "not connected")
	tries(t, b, 5)
	replaceFile(t, file, next)
	ready(t, b)
	storeEvent(t, b, "e-2")
	for _, bad := range []string{"nonsense", "", "\xff\xfeS\x00U\x00"} {
		replaceFile(t, file, []byte(bad))
		reconnects(t, b)
	}
	if got := book.count("a file cannot be used"); got != 1 {
		t.Errorf("it was logged %d times, want once", got)
	}
}

// reconnects ends the connection, and waits until there is another one that stores events.
func reconnects(t *testing.T, b *Conn) {
	t.Helper()
	before := b.nc.Stats().Reconnects
	if err := b.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it connects again", func() bool { return b.nc.Stats().Reconnects > before && b.nc.IsConnected() })
	ready(t, b)
	storeEvent(t, b, "after-"+strconv.FormatUint(before, 10))
}

// TestCredentialsUnusable: while their file is missing, empty, half written or of two users, those that were good last
// connect again. A file that is no good from the start is said at the start.
func TestCredentialsUnusable(t *testing.T) {
	t.Parallel()
	o, trusted := newOperator(t)
	broker := startBroker(t, trusted)
	file := filepath.Join(t.TempDir(), "bridge.creds")
	o.user(file, time.Time{})
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.user(file, time.Time{})
	other, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.Index(good, []byte("------END NATS USER JWT"))
	mixed := slices.Concat(good[:cut], other[bytes.Index(other, []byte("------END NATS USER JWT")):])
	bad := map[string][]byte{"empty": {}, "half written": good[:cut/2], "without a seed": good[:cut+40], "of two users": mixed, "no text": {0xff, 0xfe, '-', 0}}
	windows := slices.Concat([]byte("\ufeff"), bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))
	replaceFile(t, file, windows)
	log, book := newLog()
	b := run(t, broker.connect(t, log, hasty, func(c *Config) { c.CredsFile = file }))
	storeEvent(t, b, "e-1")
	for name, content := range bad {
		replaceFile(t, file, content)
		reconnects(t, b)
		_, err := Connect(Config{
			URL: broker.Running.ClientURL(), Prefix: "factro", Replicas: 1, DrainTimeout: time.Second, CredsFile: file,
		}, quiet())
		if err == nil || !strings.Contains(err.Error(), "nats.creds_file: "+file) || strings.Contains(err.Error(), "SU") {
			t.Errorf("started with one that is %s: %v", name, err)
		}
		if _, err := DialClient(Config{URL: broker.Running.ClientURL(), CredsFile: file}); err == nil || !strings.Contains(err.Error(), "nats.creds_file: "+file) {
			t.Errorf("dialled with one that is %s: %v", name, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	reconnects(t, b)
	if got := book.count("its last good content stays in use"); got != 1 {
		t.Errorf("it was logged %d times, want once", got)
	}
	replaceFile(t, file, other)
	reconnects(t, b)
	if got := book.count("can be used again"); got != 1 {
		t.Errorf("it was logged %d times that it is good again, want once", got)
	}
}
