package bridge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
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

// config returns nil for plain HTTP. The certificate is read at each handshake, which are few, so that a renewed one
// needs no restart.
func (t ServerTLS) config() (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		return &c, err
	}
	if _, err := load(nil); err != nil { // say it at the start and not to the first sender
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: load}
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
