package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/config"
)

// How long before the end of a certificate or token there is a warning, and how long before it is a problem.
const (
	soon     = 30 * 24 * time.Hour
	verySoon = 7 * 24 * time.Hour
)

// until judges the time until an end.
func until(end, now time.Time) Level {
	switch left := end.Sub(now); {
	case left <= verySoon:
		return Problem
	case left <= soon:
		return Warning
	}
	return OK
}

func days(end, now time.Time) string {
	if !end.After(now) {
		return "has expired on " + end.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("expires on %s, in %.0f days", end.UTC().Format(time.RFC3339), end.Sub(now).Hours()/24)
}

func checkCertificates(_ context.Context, s *session) (found []Finding) {
	c := s.Checked.Config
	if c.NATS.TLS == (bus.TLS{HandshakeFirst: c.NATS.TLS.HandshakeFirst}) && c.NATS.CredsFile == "" && (c.HTTP.TLS == config.ServerTLS{} || !c.Has(config.RoleIngress)) {
		return fine("the configuration names no certificates")
	}
	ends := func(setting, file string) { found = append(found, ending(setting, file, s.Now())...) }
	pair := func(setting, cert, key string) {
		if cert == "" {
			return
		}
		ends(setting+".cert_file", cert)
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			found = append(found, Finding{
				Level: Problem, About: setting + ".key_file", What: fmt.Sprintf("%s does not fit to %s: %v", key, cert, err),
				Fix: fmt.Sprintf("diff <(openssl x509 -in %s -noout -pubkey) <(openssl pkey -in %s -pubout)", cert, key),
			})
		}
	}
	if c.Has(config.RoleIngress) {
		pair("http.tls", c.HTTP.TLS.CertFile, c.HTTP.TLS.KeyFile)
		ends("http.tls.client_ca_file", c.HTTP.TLS.ClientCAFile)
	}
	pair("nats.tls", c.NATS.TLS.CertFile, c.NATS.TLS.KeyFile)
	ends("nats.tls.ca_file", c.NATS.TLS.CAFile)
	return append(found, credentials(c.NATS.CredsFile, s.Now())...)
}

// ending says of each certificate in a file whether it ends soon.
func ending(setting, file string, now time.Time) (found []Finding) {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return []Finding{unreadable(setting, file, err)}
	}
	show := "openssl x509 -in " + file + " -noout -dates -subject"
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return append(found, Finding{Level: Problem, About: setting, What: fmt.Sprintf("certificate %d in %s cannot be read: %v", n, file, err), Fix: show})
		}
		level := until(cert.NotAfter, now)
		if level != OK {
			found = append(found, Finding{Level: level, About: setting, What: fmt.Sprintf("certificate %d in %s %s", n, file, days(cert.NotAfter, now)), Fix: show})
		}
		if now.Before(cert.NotBefore) {
			found = append(found, Finding{
				Level: Problem, About: setting, Fix: show,
				What: fmt.Sprintf("certificate %d in %s is not valid before %s", n, file, cert.NotBefore.UTC().Format(time.RFC3339)),
			})
		}
	}
	if n == 0 {
		found = append(found, Finding{Level: Problem, About: setting, What: file + " has no certificate", Fix: show})
	}
	return found
}

func unreadable(setting, file string, err error) Finding {
	f := Finding{Level: Problem, About: setting, What: err.Error(), Fix: "ls -l " + file}
	if errors.Is(err, fs.ErrPermission) {
		f.Level, f.What = Unknown, "this user may not read "+file
	}
	return f
}

// userToken is the part of a file of credentials that says who the user is, and until when.
var userToken = regexp.MustCompile(`-----BEGIN NATS USER JWT-----\s+(\S+)\s+-`)

func credentials(file string, now time.Time) []Finding {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return []Finding{unreadable("nats.creds_file", file, err)}
	}
	m := userToken.FindSubmatch(text)
	if m == nil {
		return nil
	}
	end := expiry(string(m[1]))
	if end.IsZero() || until(end, now) == OK {
		return nil
	}
	return []Finding{{Level: until(end, now), About: "nats.creds_file", What: "the user in " + file + " " + days(end, now), Fix: "nsc generate creds > " + file}}
}
