package lastgood

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// TestRoots: a certificate that cannot be read is never left out in silence, wherever it stands.
func TestRoots(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	good := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	cut := good[:len(good)/2] + "\n"
	noBase64 := strings.Replace(good, "MII", "M*I", 1)
	if noBase64 == good {
		noBase64 = strings.Replace(good, "\nMI", "\n*I", 1)
	}
	noCertificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("none")}))
	for name, tt := range map[string]struct {
		text string
		good bool
	}{
		"one": {good, true}, "two, with a comment": {"# the first\n" + good + "\n\n# the second\n" + good, true},
		"cut at the end": {good + cut, false}, "cut before another": {good + cut + good, false},
		"no base64 at the end": {good + noBase64, false}, "no base64 before another": {good + noBase64 + good, false},
		"no certificate": {good + noCertificate + good, false}, "none": {"# nothing", false},
	} {
		if _, err := Roots([]byte(tt.text)); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKinds: the metric of every kind of file begins at 0.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{APIKey, WebhookSecret, HTTPCertificate, HTTPClientCA, NATSCA, NATSCertificate, NATSCreds, NATSNkey, NATSPassword} {
		found := false
		for _, k := range kinds {
			found = found || k == kind
		}
		if !found {
			t.Errorf("%s is left out", kind)
		}
	}
}
