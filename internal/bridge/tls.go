package bridge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ServerTLS are the files of the webhook server's certificate, all empty for plain HTTP behind a proxy.
type ServerTLS struct {
	CertFile     string `yaml:"cert_file" env:"CERT_FILE"`
	KeyFile      string `yaml:"key_file" env:"KEY_FILE"`
	ClientCAFile string `yaml:"client_ca_file" env:"CLIENT_CA_FILE"`
}

func (t ServerTLS) validate() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("http.tls: cert_file and key_file belong together; one of them is empty")
	}
	if t.ClientCAFile != "" && t.CertFile == "" {
		return errors.New("http.tls: client_ca_file needs cert_file and key_file")
	}
	return nil
}

// config returns nil for plain HTTP.
func (t ServerTLS) config(log *slog.Logger) (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	cert := &certificate{log: log, load: func() (tls.Certificate, error) { return tls.LoadX509KeyPair(t.CertFile, t.KeyFile) }}
	if _, err := cert.get(nil); err != nil { // say it at the start and not to the first sender
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get}
	if t.ClientCAFile != "" {
		pem, err := os.ReadFile(t.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("http.tls.client_ca_file: %w", err)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("http.tls.client_ca_file: %s holds no certificate in PEM", t.ClientCAFile)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// certificate is the server's, read again while the bridge runs, so that a renewed one needs no restart.
type certificate struct {
	load func() (tls.Certificate, error)
	log  *slog.Logger

	mu    sync.Mutex
	last  *tls.Certificate
	err   error     // of the last read
	until time.Time // the last one is taken without looking before this time
	busy  bool      // whether somebody reads
}

// rereadAfter bounds both how long a renewed certificate stays unnoticed and how often the files are read: strangers may
// begin a handshake as often as they like.
const rereadAfter = time.Second

// get returns the certificate, or the last good one while the files are being replaced or their file system hangs.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && (c.busy || time.Now().Before(c.until)) {
		return c.last, nil
	}
	c.busy = true
	c.mu.Unlock()
	read, err := c.load()
	c.mu.Lock()
	c.busy, c.until = false, time.Now().Add(rereadAfter)
	if err == nil {
		c.last = &read
	}
	if err != nil && c.err == nil && c.last != nil {
		c.log.Error("the certificate of the webhook server cannot be read; its last one stays in use", "error", err)
	}
	if c.err = err; c.last == nil {
		return nil, err
	}
	return c.last, nil
}
