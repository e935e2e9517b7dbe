package bus

import (
	"os"
	"path/filepath"
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
			account, err := broker.s.LookupAccount(name)
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
				broker.s.UpdateAccountClaims(account, o.claims)
			} else { // only a connection that is made with it ends with it
				o.user(file, time.Now().Add(3*time.Second))
				if err := b.nc.ForceReconnect(); err != nil {
					t.Fatal(err)
				}
			}
			unready(t, b, "not connected")
			tries(t, b, 5) // more often than the client would have it
			if err := b.Ready(); err == nil {
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
	seed := func() (seed []byte, know func(*server.Options)) {
		key, public := keyPair(t, nkeys.CreateUser)
		seed, err := key.Seed()
		if err != nil {
			t.Fatal(err)
		}
		return seed, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} }
	}
	old, know := seed()
	replaceFile(t, file, old)
	broker := startBroker(t, know)
	b := run(t, broker.connect(t, quiet(), hasty, func(c *Config) { c.NkeyFile = file }))
	storeEvent(t, b, "e-1")
	next, know := seed()
	broker.reload(know)
	unready(t, b, "not connected")
	tries(t, b, 5)
	replaceFile(t, file, next)
	ready(t, b)
	storeEvent(t, b, "e-2")
	replaceFile(t, file, []byte("nonsense"))
	if err := b.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	unready(t, b, "not connected")
	replaceFile(t, file, next)
	ready(t, b)
}
