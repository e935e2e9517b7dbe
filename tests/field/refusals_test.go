package field

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Paths as people and proxies write them.
func TestPaths(t *testing.T) {
	t.Parallel()
	s := open(t, setting{http: "path_prefix: /factro"})
	for path, status := range map[string]int{
		"/factro/webhooks/acme": 202, "/factro/webhooks/acme/": 202, "//factro/webhooks/acme": 202, "/factro//webhooks//acme": 202,
		"/factro/%77ebhooks/acme": 202, "/factro/webhooks/nobody": 404, "/factro/webhooks": 404, "/factro/webhooks/acme/more": 404, "/favicon.ico": 404,
	} {
		t.Run(path, func(t *testing.T) {
			s.in(t)
			entity := uuid.NewString()
			if r := s.send(request{path: path, body: body(entity)}); r.status != status {
				t.Fatalf("%d %s, want %d", r.status, r.body, status)
			}
			if status == http.StatusAccepted {
				s.event(entity)
			}
		})
	}
	t.Run("each refusal is counted and logged", func(t *testing.T) {
		s.in(t)
		s.await("the counter", func() bool { return s.metric("factro_bridge_webhooks_total", `http_response_status_code="404"`) == 4 })
		s.logs("WARN", "404")
	})
}

// Every refusal says why, in a metric and in the log.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	for _, tt := range []struct {
		name   string
		values []string
		status int
		said   string
	}{
		{"absent", nil, 401, "absent"},
		{"wrong", []string{"guess"}, 401, "wrong"},
		{"the same twice", []string{webhookSecret, webhookSecret}, 202, ""},
		{"the same twice in one value", []string{webhookSecret + ", " + webhookSecret}, 202, ""},
		{"two different ones", []string{webhookSecret, "guess"}, 401, "twice"},
		{"blanks around it", []string{"  " + webhookSecret + " "}, 202, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.in(t)
			if r := s.send(request{header: map[string][]string{"X-Bridge-Key": tt.values}}); r.status != tt.status {
				t.Fatalf("%d %s, want %d", r.status, r.body, tt.status)
			}
			if tt.said != "" {
				s.logs("401", tt.said)
			}
		})
	}
}

// A file of a secret that cannot be used refuses nobody for good: the sender comes again.
func TestSecretFileMissing(t *testing.T) {
	t.Parallel()
	s := prepare(t, setting{secrets: "[{file: $dir/secret}]"})
	s.start()
	r := s.send(request{})
	if r.status != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503: nobody can say yet whether the secret is right", r.status)
	}
	s.await("readiness names the file", func() bool { _, text := s.get("/readyz"); return strings.Contains(text, "secret") })
	s.write("secret", webhookSecret+"\n")
	s.await("the webhook is taken once the file is there", func() bool { return s.send(request{}).status == http.StatusAccepted })
}

// What is refused before there is a request is counted, too.
func TestBeforeTheRoute(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, time.Now())
	s := open(t, setting{http: "tls: {cert_file: $dir/tls.crt, key_file: $dir/tls.key}", files: map[string]string{"tls.crt": cert, "tls.key": key}})
	dropped := func(reason string) float64 {
		return s.metric("factro_bridge_connections_dropped_total", `reason="`+reason+`"`)
	}
	t.Run("plain HTTP where TLS is spoken", func(t *testing.T) {
		s.in(t)
		if r := s.send(request{}); r.status == http.StatusAccepted {
			t.Error("it was taken")
		}
		s.await("the counter", func() bool { return dropped("tls") > 0 })
		s.logs("WARN", "TLS")
	})
	t.Run("TLS 1.0", func(t *testing.T) {
		s.in(t)
		before := dropped("tls")
		if c, err := tls.Dial("tcp", s.http, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10}); err == nil {
			_ = c.Close()
			t.Error("it was taken")
		}
		s.await("the counter", func() bool { return dropped("tls") > before })
	})
	t.Run("headers that are too large", func(t *testing.T) {
		s.in(t)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.http+"/webhooks/acme", strings.NewReader("{}"))
		must(t, err)
		req.Header.Set("X-Fill", strings.Repeat("x", 200_000))
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%d, want 431", resp.StatusCode)
			}
		}
		s.await("the counter", func() bool { return dropped("no_request") > 0 || s.metric("factro_bridge_webhooks_total", `"431"`) > 0 })
		s.logs("WARN", "header")
	})
}

// A connection that a balancer keeps is not closed between two webhooks.
func TestIdleConnection(t *testing.T) {
	t.Parallel()
	s := open(t, setting{})
	c, err := net.Dial("tcp", s.http)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	post := func() {
		t.Helper()
		text := body(uuid.NewString())
		_, err = fmt.Fprintf(c, "POST /webhooks/acme HTTP/1.1\r\nHost: b\r\nX-Bridge-Key: %s\r\nContent-Length: %d\r\n\r\n%s", webhookSecret, len(text), text)
		must(t, err)
		b := make([]byte, 4096)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		n, err := c.Read(b)
		if err != nil || !bytes.HasPrefix(b[:n], []byte("HTTP/1.1 202")) {
			t.Fatalf("%s, %v", b[:n], err)
		}
	}
	post()
	_ = c.SetReadDeadline(time.Now().Add(7 * time.Second)) // whoever has shown no secret has 5
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Fatal("the connection was closed")
	}
	post()
}

// File names of TLS come one after the other, or not at all for a moment.
func TestReplacedCertificates(t *testing.T) {
	t.Parallel()
	oldCert, oldKey := certificate(t, time.Now())
	newCert, newKey := certificate(t, time.Now().Add(time.Second))
	s := prepare(t, setting{http: "tls: {cert_file: $dir/tls.crt, key_file: $dir/tls.key}", files: map[string]string{"tls.crt": oldCert, "tls.key": oldKey}})
	s.start()
	serial := func() string {
		c, err := tls.Dial("tcp", s.http, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err.Error()
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	was := serial()
	for _, step := range []struct {
		name, file string
		text       string // "-": the file is removed
		same       bool
	}{
		{"the certificate before its key", "tls.crt", newCert, true},
		{"the key, too", "tls.key", newKey, false},
		{"no certificate for a moment", "tls.crt", "-", true},
		{"an empty certificate", "tls.crt", "", true},
		{"half a certificate", "tls.crt", newCert[:len(newCert)/2], true},
		{"all is well again", "tls.crt", newCert, true},
	} {
		t.Run(step.name, func(t *testing.T) {
			s.in(t)
			path := filepath.Join(s.dir, step.file)
			if step.text == "-" {
				must(t, os.Remove(path))
			} else {
				s.write(step.file, step.text)
			}
			if !step.same {
				s.await("the new certificate", func() bool { return serial() != was })
				was = serial()
				return
			}
			for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) { //nolint:forbidigo // for longer than files are believed unread
				if now := serial(); now != was {
					t.Fatalf("served %s, want the last good one, %s", now, was)
				}
			}
		})
	}
	if n := s.lines("tls.crt"); n == 0 || n > 8 {
		t.Errorf("%d lines about the certificate, want one for each change", n)
	}
}
