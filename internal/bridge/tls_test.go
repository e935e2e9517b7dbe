package bridge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key, a.pem = a.sign(name, nil, nil)
	return a
}

// sign makes a certificate and its key, of this authority or of its own.
func (a *authority) sign(name string, by *x509.Certificate, with *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: by == nil,
	}
	if by == nil {
		by, with = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), with)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// pair is a certificate and its key in PEM.
func (a *authority) pair(name string) (cert, key []byte) {
	a.t.Helper()
	_, private, cert := a.sign(name, a.cert, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE" + " KEY", Bytes: der})
}

// client is a TLS client that trusts an authority and has a certificate of another one, or none.
func (a *authority) client(of *authority) *http.Client {
	a.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "bridge", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if of != nil {
		cert, key := of.pair("sender")
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			a.t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	t := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	a.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// TestTLSFilesReplaced: the files of a server's certificate are replaced one after the other, missing, empty and half
// written, and those of the clients' authorities too. A handshake never fails for that.
func TestTLSFilesReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := config.ServerTLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), ClientCAFile: filepath.Join(dir, "ca.crt")}
	put := func(file string, content []byte) {
		t.Helper()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ours, before, after := newAuthority(t, "ours"), newAuthority(t, "before"), newAuthority(t, "after")
	cert, key := ours.pair("bridge")
	put(files.CertFile, slices.Concat(cert, ours.pem))
	put(files.KeyFile, key)
	put(files.ClientCAFile, before.pem)

	l := &logged{}
	set, err := lastgood.NewFiles(slog.New(slog.NewTextHandler(l, nil)))
	if err != nil {
		t.Fatal(err)
	}
	config, err := files.Config(set)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{TLSConfig: config, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS.PeerCertificates[0].Issuer.CommonName)
	}), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() { _ = srv.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = srv.Close() })
	// serves makes a handshake and returns the server's certificate.
	serves := func(c *http.Client, issuer string) (*x509.Certificate, error) {
		resp, err := c.Get("https://" + listener.Addr().String())
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		var proto, by string
		if _, err := fmt.Fscan(resp.Body, &proto, &by); err != nil || proto != "HTTP/2.0" || by != issuer {
			t.Errorf("got %s from a client of %s: %v", proto, by, err)
		}
		return resp.TLS.PeerCertificates[0], nil
	}
	old, fresh := ours.client(before), ours.client(after)
	first, err := serves(old, "before")
	if err != nil {
		t.Fatal(err)
	}

	next, nextKey := ours.pair("bridge")
	for _, change := range []func(){
		func() { put(files.CertFile, next) },
		func() { put(files.CertFile, nil) },
		func() { put(files.CertFile, slices.Concat(cert, ours.pem[:len(ours.pem)/2])) },
		func() { put(files.CertFile, []byte("\xff\xfe-\x00")) },
		func() { _ = os.Remove(files.KeyFile) },
		func() { put(files.CertFile, cert); put(files.KeyFile, nil) },
		func() { put(files.ClientCAFile, nil) },
		func() { put(files.ClientCAFile, []byte("nonsense")) },
		func() { put(files.ClientCAFile, slices.Concat(before.pem, after.pem[:len(after.pem)/2])) },
		func() { _ = os.Remove(files.ClientCAFile) },
	} {
		change()
		for began := time.Now(); time.Since(began) < 1200*time.Millisecond; {
			if now, err := serves(old, "before"); err != nil || !now.Equal(first) {
				t.Fatalf("the handshake fails or has another certificate: %v", err)
			}
		}
	}
	if got := strings.Count(l.String(), "its last good content stays in use"); got != 2 {
		t.Errorf("logged %d times, want once for each of both:\n%s", got, l.String())
	}

	put(files.CertFile, slices.Concat([]byte("\ufeff"), next, ours.pem))
	put(files.KeyFile, nextKey)
	put(files.ClientCAFile, after.pem)
	natstest.Eventually(t, "the new files are used", func() bool {
		now, err := serves(fresh, "after")
		return err == nil && !now.Equal(first)
	})
	natstest.Eventually(t, "a client of the old authority is refused", func() bool {
		_, err := serves(old, "before")
		return err != nil
	})
	if got := strings.Count(l.String(), "can be used again"); got != 2 {
		t.Errorf("logged %d times, want once for each of both:\n%s", got, l.String())
	}

	for file, good := range map[string][]byte{files.CertFile: next, files.KeyFile: nextKey, files.ClientCAFile: after.pem} {
		for _, bad := range [][]byte{nil, good[:len(good)/2], []byte("\xff\xfe-\x00")} {
			put(file, bad)
			if _, err := files.Config(set); err == nil || !strings.Contains(err.Error(), file) || !strings.HasPrefix(err.Error(), "http.tls.") {
				t.Errorf("%s with %q in it: %v", filepath.Base(file), bad, err)
			}
		}
		put(file, good)
	}
}
