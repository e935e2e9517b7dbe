package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// credentials are the options by which a connection proves who it is and knows the server. Their files are read again at
// every attempt to connect, so that any of them may be replaced. opened is passed to the options of a key, since the client
// reads the public one once only; it returns nil as long as there is no connection.
func (c Config) credentials(opened func() *nats.Conn) ([]nats.Option, error) {
	var opts []nats.Option
	if c.CredsFile != "" {
		opt, err := c.user()
		if err != nil {
			return nil, fmt.Errorf("nats.creds_file: %w", err)
		}
		opts = append(opts, opt)
	}
	if c.NkeyFile != "" {
		opt, err := c.nkey(opened)
		if err != nil {
			return nil, fmt.Errorf("nats.nkey_file: %w", err)
		}
		opts = append(opts, opt)
	}
	if !c.User.IsZero() {
		opt, err := c.password()
		if err != nil {
			return nil, err
		}
		opts = append(opts, opt)
	}
	if c.TLS.CAFile != "" {
		roots := lastgood.NewRoots(c.Files, lastgood.NATSCA, home(c.TLS.CAFile))
		if _, err := roots.Get(); err != nil {
			return nil, fmt.Errorf("nats.tls.ca_file: %w", err)
		}
		opts = append(opts, overTLS, func(o *nats.Options) error {
			o.RootCAsCB = func() (*x509.CertPool, error) {
				pool, _ := roots.Now() // an error is logged by lastgood; there was a good one
				return pool, nil
			}
			return nil
		})
	}
	if c.TLS.CertFile != "" {
		pair := lastgood.NewPair(c.Files, lastgood.NATSCertificate, home(c.TLS.CertFile), home(c.TLS.KeyFile))
		if _, err := pair.Get(); err != nil {
			return nil, fmt.Errorf("nats.tls.cert_file, key_file: %w", err)
		}
		opts = append(opts, overTLS, func(o *nats.Options) error {
			o.TLSCertCB = func() (tls.Certificate, error) {
				cert, _ := pair.Now() // as above
				return *cert, nil
			}
			return nil
		})
	}
	return opts, nil
}

// CheckFiles reads the files of the credentials, and says what is wrong with the first one that cannot be used.
func (c Config) CheckFiles() error {
	_, err := c.credentials(func() *nats.Conn { return nil })
	return err
}

// overTLS has the client speak TLS.
func overTLS(o *nats.Options) error {
	if o.Secure = true; o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return nil
}

// userOf are a user's claims, signed by its account, and its key.
type userOf struct {
	claims string
	seed   []byte
}

var errOtherKey = errors.New("its seed is that of another user than its claims")

// user is the option of a credentials file.
func (c Config) user() (nats.Option, error) {
	file := lastgood.New(c.Files, lastgood.NATSCreds, func(contents [][]byte) (userOf, error) {
		text, err := nkeys.ParseDecoratedJWT(contents[0])
		if err != nil {
			return userOf{}, err
		}
		key, err := nkeys.ParseDecoratedUserNKey(contents[0])
		if err != nil {
			return userOf{}, err
		}
		claims, err := jwt.DecodeUserClaims(text)
		if err != nil {
			return userOf{}, fmt.Errorf("the user's claims: %w", err)
		}
		public, err := key.PublicKey()
		if err != nil {
			return userOf{}, err
		}
		if public != claims.Subject {
			return userOf{}, errOtherKey
		}
		seed, err := key.Seed()
		return userOf{text, seed}, err
	}, home(c.CredsFile))
	user, err := file.Get()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return nats.UserJWT(
		func() (string, error) {
			mu.Lock()
			defer mu.Unlock()
			user, _ = file.Now() // an error is logged by lastgood; there was a good one
			return user.claims, nil
		},
		func(nonce []byte) ([]byte, error) { // asked next; the file may hold another user by then
			mu.Lock()
			defer mu.Unlock()
			return signed(user.seed, nonce)
		}), nil
}

// password is the option of a user and a password.
func (c Config) password() (nats.Option, error) {
	user := secret.NewReader(c.User, c.Files, lastgood.NATSPassword)
	password := secret.NewReader(c.Password, c.Files, lastgood.NATSPassword)
	for setting, r := range map[string]*secret.Reader{"nats.user_file": user, "nats.password_file": password} {
		if _, err := r.Get(); err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
	}
	return nats.UserInfoHandler(func() (string, string) {
		u, _ := user.Get() // an error is logged by lastgood; there was a good one
		p, _ := password.Get()
		return u.Reveal(), p.Reveal()
	}), nil
}

// nkey signs with the key that the file holds by then. The client reads the public key once only; hence it is set again
// here. The client has its lock while it asks for a signature, and has sent off the old public key by then, so a replaced
// key costs one refused attempt.
func (c Config) nkey(opened func() *nats.Conn) (nats.Option, error) {
	type keyOf struct {
		public string
		seed   []byte
	}
	file := lastgood.New(c.Files, lastgood.NATSNkey, func(contents [][]byte) (keyOf, error) {
		key, err := nkeys.ParseDecoratedUserNKey(contents[0])
		if err != nil {
			return keyOf{}, err
		}
		public, err := key.PublicKey()
		if err != nil {
			return keyOf{}, err
		}
		seed, err := key.Seed()
		return keyOf{public, seed}, err
	}, home(c.NkeyFile))
	key, err := file.Get()
	if err != nil {
		return nil, err
	}
	return nats.Nkey(key.public, func(nonce []byte) ([]byte, error) {
		key, _ := file.Now() // as above
		if nc := opened(); nc != nil {
			nc.Opts.Nkey = key.public
		}
		return signed(key.seed, nonce)
	}), nil
}

func signed(seed, nonce []byte) ([]byte, error) {
	key, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return key.Sign(nonce)
}

// home is a path whose ~ at the beginning stands for the user's directory, as the nats command takes it.
func home(path string) string {
	rest, found := strings.CutPrefix(path, "~/")
	dir, err := os.UserHomeDir()
	if !found || err != nil {
		return path
	}
	return filepath.Join(dir, rest)
}
