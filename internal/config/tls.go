package config

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/lastgood"
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

// Config returns nil for plain HTTP. All files are read again while the bridge runs, so that renewed ones need no restart.
func (t ServerTLS) Config(files *lastgood.Files) (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	pair := lastgood.NewPair(files, lastgood.HTTPCertificate, t.CertFile, t.KeyFile)
	if _, err := pair.Get(); err != nil { // say it at the start and not to the first sender
		return nil, fmt.Errorf("http.tls.cert_file, key_file: %w", err)
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, _ := pair.Get() // an error is logged by lastgood; there was a good pair
			return cert, nil
		},
	}
	if t.ClientCAFile == "" {
		return c, nil
	}
	roots := lastgood.NewRoots(files, lastgood.HTTPClientCA, t.ClientCAFile)
	if _, err := roots.Get(); err != nil {
		return nil, fmt.Errorf("http.tls.client_ca_file: %w", err)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.SessionTicketsDisabled = true // a resumed session would not be held against the certificates of now
	own := c.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := own.Clone()
		now.ClientCAs, _ = roots.Get() // as above
		return now, nil
	}
	return c, nil
}
