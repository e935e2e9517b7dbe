package ingress_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
)

func refusals(t testing.TB, cloud, reason string) int64 {
	t.Helper()
	return counted(t, "factro.bridge.webhooks.refused", attribute.NewSet(attribute.String("factro.cloud", cloud), attribute.String("reason", reason)))
}

// TestEachWebhookIsLogged: at debug level each webhook is one line, whatever its outcome.
func TestEachWebhookIsLogged(t *testing.T) {
	t.Parallel()
	s, book := newServer(t, config(), &memoryStore{})
	for n, tt := range []struct {
		change func(*http.Request)
		want   []string
	}{
		{func(*http.Request) {}, []string{`"cloud":"acme"`, `"status":202`, `"outcome":"stored"`, `"event_id":"` + eventID + `"`}},
		{key(wrongGuess), []string{`"cloud":"acme"`, `"status":401`, `"outcome":"secret_wrong"`, `"event_id":""`}},
		{body(padded(1025)), []string{`"status":413`, `"outcome":"too_large"`, `"bytes":1025`}},
		{path("/webhooks/nobody"), []string{`"cloud":"unknown"`, `"status":404`, `"outcome":"unknown_cloud"`}},
		{path("/elsewhere"), []string{`"cloud":"unknown"`, `"status":404`, `"outcome":"not_found"`}},
	} {
		r := request(t, good)
		tt.change(r)
		answer(t, s, r)
		var lines []string
		for line := range strings.Lines(book.String()) {
			if strings.Contains(line, `"webhook answered"`) {
				lines = append(lines, line)
			}
		}
		if len(lines) != n+1 {
			t.Fatalf("after %d webhooks %d lines:\n%s", n+1, len(lines), book)
		}
		for _, want := range tt.want {
			if !strings.Contains(lines[n], want) {
				t.Errorf("it lacks %s: %s", want, lines[n])
			}
		}
	}
}

// TestWhyRefused: every refusal is counted with its reason, and the first of each kind is in the log.
func TestWhyRefused(t *testing.T) { //nolint:paralleltest // it counts what everybody counts
	missing := with(config(), func(c *ingress.Cloud) { c.Secrets = files(filepath.Join(t.TempDir(), "missing")) })
	for name, tt := range map[string]struct {
		cfg    ingress.Config
		change func(*http.Request)
		cloud  string
		reason string
	}{
		"no secret":      {config(), key(), "acme", "secret_absent"},
		"an empty one":   {config(), key(""), "acme", "secret_absent"},
		"two of them":    {config(), key(oldSecret, newSecret), "acme", "secret_twice"},
		"a wrong one":    {config(), key(wrongGuess), "acme", "secret_wrong"},
		"no file":        {missing, key(oldSecret), "acme", "secret_unusable"},
		"no such cloud":  {config(), path("/webhooks/nobody"), "unknown", "unknown_cloud"},
		"no such path":   {config(), path("/elsewhere"), "unknown", "not_found"},
		"another method": {config(), method("PUT"), "acme", "method"},
		"a large header": {config(), func(r *http.Request) { r.Header.Set("X-Large", strings.Repeat("x", 9<<10)) }, "unknown", "header_too_large"},
		"a large body":   {config(), body(padded(1025)), "acme", "too_large"},
	} {
		s, book := newServer(t, tt.cfg, &memoryStore{})
		before := refusals(t, tt.cloud, tt.reason)
		for range 3 {
			r := request(t, good)
			tt.change(r)
			answer(t, s, r)
		}
		if n := refusals(t, tt.cloud, tt.reason) - before; n != 3 {
			t.Errorf("%s: %d were counted as %s of %s", name, n, tt.reason, tt.cloud)
		}
		if n := strings.Count(book.String(), `"reason":"`+tt.reason+`"`); n != 1 {
			t.Errorf("%s: %d lines: %s", name, n, book)
		}
	}
}

// TestSecretsInPaths: a secret in the URL is not logged.
func TestSecretsInPaths(t *testing.T) {
	t.Parallel()
	s, book := newServer(t, config(), &memoryStore{})
	r := request(t, good)
	path("/" + oldSecret)(r)
	wantStatus(t, answer(t, s, r), 404)
	if !strings.Contains(book.String(), "(not shown)") {
		t.Errorf("the log says %s", book)
	}
}

func TestPathPrefix(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.PathPrefix = "/factro/in/"
	s, _ := newServer(t, cfg, &memoryStore{})
	for p, want := range map[string]int{
		"/factro/in/webhooks/acme": 202, "/factro/in/webhooks/acme/": 202, "//factro//in/webhooks/acme": 202, "/webhooks/acme": 202,
		"/factro/webhooks/acme": 404, "/in/webhooks/acme": 404, "/factro/in/acme": 404, "/factro/in": 404, "/factro/in/factro/in/webhooks/acme": 404,
	} {
		r := request(t, good)
		path(p)(r)
		if got := answer(t, s, r); got.status != want {
			t.Errorf("%s: got %d, want %d", p, got.status, want)
		}
	}
	for prefix, p := range map[string]string{"/webhooks": "/webhooks/acme", "/~a": "/%7Ea/webhooks/acme", "/webhooks/in": "/webhooks/in/webhooks/acme"} {
		cfg.PathPrefix = prefix
		s, _ := newServer(t, cfg, &memoryStore{})
		r := request(t, good)
		r.URL.Path, r.URL.RawPath = strings.ReplaceAll(p, "%7E", "~"), p
		wantStatus(t, answer(t, s, r), 202)
	}
	for prefix, ok := range map[string]bool{"": true, "/": true, "/a": true, "/a/b.c/": true, "a": false, "/a b": false, "/../a": false, "/a//b": false, "/%61": false} {
		cfg.PathPrefix = prefix
		if err := cfg.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

// certificate is a certificate that no client trusts.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestRefusedBeforeARequest: a failed handshake and a broken HTTP/2 connection are counted and logged.
func TestRefusedBeforeARequest(t *testing.T) { //nolint:paralleltest // it counts what everybody counts
	s, book := newServer(t, config(), &memoryStore{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}, time.Second)
	}()
	dropped := func(reason string) int64 {
		return counted(t, "factro.bridge.connections.dropped", attribute.NewSet(attribute.String("reason", reason)))
	}
	handshakes, broken := dropped("tls"), dropped("http2")

	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(plain, "POST /webhooks/acme HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(plain)
	h2, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(h2, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"+"\x00\x00\x01\x00\x00\x00\x00\x00\x01x"); err != nil { // data for a stream that is not open
		t.Fatal(err)
	}
	_, _ = io.ReadAll(h2)

	for _, c := range []io.Closer{plain, h2} {
		_ = c.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if n, m := dropped("tls")-handshakes, dropped("http2")-broken; n != 1 || m != 1 {
		t.Errorf("%d handshakes and %d connections of HTTP/2 were counted: %s", n, m, book)
	}
	for _, want := range []string{`"reason":"tls"`, `"reason":"http2"`} {
		if !strings.Contains(book.String(), want) {
			t.Errorf("the log says %s, want %q", book, want)
		}
	}
}

// TestRefusedByHTTP2: net/http answers some HTTP/2 requests itself, and the connection stays open.
func TestRefusedByHTTP2(t *testing.T) { //nolint:paralleltest // it counts what everybody counts
	reasons := attribute.NewSet(attribute.String("reason", "no_request"))
	c := dialFramed(t, serveTLS(t, config(), &memoryStore{}))
	c.until(frameSettings)
	c.send(frame{kind: frameSettings, flags: ack})
	large := slices.Repeat([]string{"a", strings.Repeat("x", 120)}, 120)
	want := counted(t, "factro.bridge.connections.dropped", reasons)
	for i, tt := range []struct {
		fields string
		more   int64
	}{
		{requestFields("GET"), 0},
		{requestFields("POST", large...), 1},
		{fields(":scheme", "https", ":path", "/webhooks/acme"), 1},
		{requestFields("POST", "connection", "close"), 1},
		{requestFields("GET"), 0},
	} {
		stream := uint32(2*i + 1)
		c.send(frame{frameHeaders, endHeaders | endStream, stream, tt.fields})
		for f, open := c.next(); f.stream != stream || f.kind != frameReset && f.flags&endStream == 0; f, open = c.next() {
			if !open {
				t.Fatal("the connection ended")
			}
		}
		c.send(frame{kind: framePing, payload: "12345678"})
		c.until(framePing) // by then the stream before it is over
		want += tt.more
	}
	if got := counted(t, "factro.bridge.connections.dropped", reasons); got != want {
		t.Errorf("%d were counted, want %d", got, want)
	}
}
