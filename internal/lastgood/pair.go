package lastgood

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// NewPair returns a reader of a certificate and its key, which never combines two different pairs.
func NewPair(files *Files, kind Kind, certFile, keyFile string) *Reader[*tls.Certificate] {
	return New(files, kind, func(contents [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err == nil {
			_, err = Roots(contents[0]) // the library accepts a truncated chain
		}
		return &pair, err
	}, certFile, keyFile)
}

// Errors for a file of certificates.
var (
	errNoCertificate = errors.New("it holds no certificate in PEM")
	errCut           = errors.New("it ends within a certificate")
)

// begins is how each part of a PEM file begins.
const begins = "-----BEGIN"

// NewRoots returns a reader of trusted certificates.
func NewRoots(files *Files, kind Kind, file string) *Reader[*x509.CertPool] {
	return New(files, kind, func(contents [][]byte) (*x509.CertPool, error) { return Roots(contents[0]) }, file)
}

// Roots are the certificates in a text. All of them have to be readable: a file that is half written would lack some.
func Roots(text []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	all, blocks := bytes.Count(text, []byte(begins)), 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		blocks++
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n, err)
		}
		pool.AddCert(cert)
	}
	switch {
	case bytes.Contains(text, []byte(begins)):
		return nil, errCut
	case all > blocks: // the library skips what it cannot read
		return nil, fmt.Errorf("%d of its %d parts are not certificates: not in base64, or without an end", all-blocks, all)
	case n == 0:
		return nil, errNoCertificate
	}
	return pool, nil
}
