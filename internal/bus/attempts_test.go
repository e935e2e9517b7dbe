package bus

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// authority is a certificate of 127.0.0.1 and localhost that signs itself.
type authority struct {
	file string
	pair tls.Certificate
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: t.Name()}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{filepath.Join(t.TempDir(), "ca.pem"), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) serve(first bool) func(*server.Options) {
	return func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{a.pair}, MinVersion: tls.VersionTLS12}
		o.TLSTimeout, o.TLSHandshakeFirst = 1, first
	}
}

func withUser(o *server.Options) { o.Username, o.Password = "bridge", "right" }

// userFiles gives the user bridge this password, in files.
func userFiles(t testing.TB, c *Config, password string) {
	t.Helper()
	c.User, c.Password = secret.Source{File: filepath.Join(t.TempDir(), "user")}, secret.Source{File: filepath.Join(t.TempDir(), "password")}
	replaceFile(t, c.User.File, []byte("bridge\n"))
	replaceFile(t, c.Password.File, []byte(password+"\n"))
}

// TestWhyNotConnected: each reason why a first connection fails is shown where people look: by readiness, in the log, and by a
// command. The log has it once.
func TestWhyNotConnected(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	for name, tt := range map[string]struct {
		server func(*server.Options) // nil: there is none
		client func(*Config)
		want   string
	}{
		"dead port":    {nil, func(*Config) {}, "connection refused"},
		"unknown host": {nil, func(c *Config) { c.URL = "nats://no-such-host.invalid:4222" }, "no such host no-such-host.invalid"},
		"wrong CA": {
			ours.serve(false), func(c *Config) { c.TLS.CAFile = others.file },
			"nats.tls.ca_file",
		},
		"system's CAs": {ours.serve(false), func(*Config) {}, "nats.tls.ca_file"},
		"wrong name": {ours.serve(false), func(c *Config) {
			c.TLS.CAFile, c.URL = ours.file, strings.Replace(c.URL, "127.0.0.1", "127.0.0.2", 1)
		}, "for another name"},
		"wrong password": {withUser, func(c *Config) { userFiles(t, c, "wrong") }, "nats.password_file"},
		"no password":    {withUser, func(*Config) {}, "nats.user_file"},
		"TLS first, and the client does not know": {
			ours.serve(true), func(c *Config) { c.TLS.CAFile = ours.file },
			"nats.tls.handshake_first to true",
		},
		"TLS first, and the server does not know": {
			func(*server.Options) {}, func(c *Config) { c.TLS.CAFile, c.TLS.HandshakeFirst = ours.file, true },
			"nats.tls.handshake_first to false",
		},
		"no TLS": {func(*server.Options) {}, func(c *Config) { c.URL = strings.Replace(c.URL, "nats://", "tls://", 1) }, "offers no TLS"},
		"client certificate": {func(o *server.Options) {
			ours.serve(false)(o)
			o.TLSConfig.ClientAuth, o.TLSVerify = tls.RequireAnyClientCert, true
		}, func(c *Config) { c.TLS.CAFile = ours.file }, "nats.tls.cert_file"},
		"an HTTP server": {nil, func(c *Config) { c.URL = "nats://" + says(t, "HTTP/1.1 408 Request Timeout\r\n\r\n") }, "no NATS server"},
		"a broken word":  {nil, func(c *Config) { c.URL = "nats://" + says(t, "INFO {nope\r\n") }, "no NATS server"},
		"an early end": {nil, func(c *Config) {
			c.URL = "nats://" + says(t, `INFO {"server_id":"X","version":"2.12.0","headers":true,"max_payload":1048576}`+"\r\n")
		}, "did not say why"},
		"silent": {nil, func(c *Config) { c.URL = "nats://" + mute(t) }, "did not introduce itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := newBroker(t)
			if tt.server != nil {
				broker = startBroker(t, func(o *server.Options) { o.Host = "0.0.0.0" }, tt.server)
			}
			cfg := broker.config()
			tt.client(&cfg)
			host := strings.SplitN(cfg.URL, "://", 2)[1]
			log, book := newLog()
			b, err := Connect(cfg, log, hasty, withStreams(log))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			tells := func(err error) bool {
				return errors.Is(err, ErrNotConnected) && strings.Contains(err.Error(), host+": ") && strings.Contains(err.Error(), tt.want) &&
					strings.Contains(err.Error(), "next attempt at 20")
			}
			if !within(func() bool { return tells(b.Health().Ready()) }) {
				t.Fatalf("readiness says %v", b.Health().Ready())
			}
			tries(t, b, 4)
			if n := book.count("NATS cannot be reached"); n != 1 || !strings.Contains(book.String(), tt.want) {
				t.Errorf("the log has the reason %d times:\n%s", n, book)
			}
			if n := strings.Count(book.String(), "\n"); n != 1 {
				t.Errorf("the log has %d lines:\n%s", n, book)
			}
			_, err = DialClient(cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), host) {
				t.Errorf("a command says %v", err)
			}
			if all := err.Error() + book.String() + b.Health().Ready().Error(); strings.Contains(all, "wrong\"") || strings.Contains(all, "right") {
				t.Errorf("a password is shown: %s", all)
			}
		})
	}
}

// tries waits for so many more attempts to connect.
func tries(t testing.TB, b *Conn, more int) {
	t.Helper()
	count := func() int {
		return b.tries.Dials()
	}
	before := count()
	eventually(t, "more attempts to connect", func() bool { return count() >= before+more })
}

// says is the address of a server that says so much to everybody, and ends the connection.
func says(t testing.TB, word string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(word))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// mute is the address of a server that takes connections and gives them up without a word.
func mute(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// TestWhyNotConnectedSeveral: the reason of each of several servers is shown, and one that works is found.
func TestWhyNotConnectedSeveral(t *testing.T) {
	t.Parallel()
	dead, refuses := newBroker(t), startBroker(t, withUser)
	works := newBroker(t)
	cfg := works.config()
	cfg.URL = strings.Join([]string{dead.url(), refuses.url(), works.url()}, ",")
	log, book := newLog()
	b, err := Connect(cfg, log, hasty, withStreams(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	_, err = DialClient(cfg)
	for what, why := range map[string]func() error{"readiness": b.Health().Ready, "a command": func() error { return err }} {
		if !within(func() bool {
			text := why().Error()
			return strings.Count(text, "connection refused") == 2 && strings.Count(text, "refuses the credentials") == 1
		}) {
			t.Errorf("%s says %v", what, why())
		}
	}
	eventually(t, "the log has three reasons", func() bool { return book.count("NATS cannot be reached") == 3 })
	works.start()
	run(t, b)
	eventually(t, "the log says that it is connected, and where", func() bool { return book.count("connected to NATS") == 1 && book.count(works.url()) > 0 })
	if n := book.count("NATS cannot be reached"); n != 3 {
		t.Errorf("the log has %d reasons:\n%s", n, book)
	}
	if _, err := DialClient(cfg); err != nil {
		t.Error(err)
	}
}

// TestOutageIsLoggedOnce: an outage of some time is a line when it begins, one with its reason, and one when it is over.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	log, book := newLog()
	b := run(t, broker.connect(t, log, hasty, pings(time.Minute))) // a busy machine may be late
	eventually(t, "the log says that it is connected", func() bool { return book.count("connected to NATS") == 1 })
	broker.stop()
	tries(t, b, 20)
	withUser(&broker.Options)
	broker.start()
	eventually(t, "another reason", func() bool { return strings.Contains(b.Health().Ready().Error(), "refuses the credentials") })
	tries(t, b, 20)
	for text, want := range map[string]int{
		"NATS disconnected": 1, "NATS cannot be reached": 2, "connection refused": 1, "refuses the credentials": 1, "NATS reports": 0,
	} {
		if n := book.count(text); n != want {
			t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, book)
		}
	}
}

// TestUserFiles: a user's password is replaced while the bridge runs.
func TestUserFiles(t *testing.T) {
	t.Parallel()
	broker := startReloading(t, "{user: bridge, password: right}")
	var password string
	b := run(t, broker.connect(t, quiet(), hasty, func(c *Config) {
		userFiles(t, c, "right")
		password = c.Password.File
	}))
	storeEvent(t, b, "e-1")
	broker.reload("{user: bridge, password: next}")
	unready(t, b, "refuses the credentials")
	replaceFile(t, password, []byte("next"))
	ready(t, b)
	storeEvent(t, b, "e-2")
}
