package canary

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func acme(url string) Webhook {
	return Webhook{URL: url, Header: "X-Bridge-Key", Secret: "first-secret"}
}

// The secret goes to one address only, despite redirects, and each refusal says what to check.
func TestWebhookRefused(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a stranger got %s with the secret %q", r.URL, r.Header.Get("X-Bridge-Key"))
	}))
	t.Cleanup(stranger.Close)
	statuses := map[int]string{http.StatusFound: "302", http.StatusTeapot: "418"}
	maps.Copy(statuses, refusalHints)
	for status, want := range statuses {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Bridge-Key") != "first-secret" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("got the headers %v", r.Header)
				}
				w.Header().Set("Location", stranger.URL)
				w.WriteHeader(status)
			}))
			defer server.Close()
			s, err := newSender(acme(server.URL))
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.send(t.Context(), "1")
			if got != status || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "first-secret") {
				t.Errorf("%d: %v, want %q", got, err, want)
			}
		})
	}
}

// Credentials are in no output: neither in the address nor in the text of a server that repeats them.
func TestWebhookHides(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_ = r.Header.Write(w)
	}))
	defer echo.Close()
	for _, host := range []string{echo.Listener.Addr().String(), "127.0.0.1:1"} {
		s, err := newSender(acme("http://user:password@" + host + "/webhooks/acme?token=ticket"))
		if err != nil {
			t.Fatal(err)
		}
		if want := "http://" + host + "/webhooks/acme"; s.address() != want {
			t.Errorf("the address is %s, want %s", s.address(), want)
		}
		_, err = s.send(t.Context(), "1")
		if err == nil {
			t.Fatalf("%s takes it", host)
		}
		for _, hidden := range []string{"first-secret", "password", "ticket"} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("%s stands in: %v", hidden, err)
			}
		}
	}
}

// The address of a TLS server is none of its names, so the certificate itself is checked.
func TestWebhookTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer server.Close()
	dir := t.TempDir()
	right, wrong := filepath.Join(dir, "right.crt"), filepath.Join(dir, "wrong.crt")
	for file, der := range map[string][]byte{right: server.Certificate().Raw, wrong: selfSigned(t)} {
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]bool{right: true, wrong: false} {
		w := acme(server.URL)
		w.CertFile = file
		s, err := newSender(w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.send(t.Context(), "1"); (err == nil) != want {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// selfSigned is a certificate of somebody else.
func selfSigned(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
