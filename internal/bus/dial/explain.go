package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
)

// explain says why a server cannot be used: what happened, and which setting may help. The words are the same for each attempt,
// so that a log can tell a new reason from an old one: addresses and ports of this side are left out.
func explain(err error, c Config) error {
	var (
		unknown   *net.DNSError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		alert     tls.AlertError
		timeout   net.Error
	)
	dialing := isDial(err)
	text := strings.ToLower(err.Error())
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return fmt.Errorf("the host is unknown: no such host %s", unknown.Name)
	case errors.As(err, &unknown):
		return fmt.Errorf("the host's name cannot be resolved: %s", unknown.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused: nothing listens there")
	case errors.As(err, &authority):
		return fmt.Errorf("the server's certificate is of an authority that is not trusted here; set nats.tls.ca_file to the certificate of that authority: %w", authority)
	case errors.As(err, &host):
		return fmt.Errorf("the server's certificate is for another name; use a name of the certificate in nats.url: %w", host)
	case errors.As(err, &invalid):
		return fmt.Errorf("the server's certificate is not valid: %w", invalid)
	case errors.As(err, &noTLS) && c.TLS.HandshakeFirst:
		return errors.New("the server does not begin with a TLS handshake; set nats.tls.handshake_first to false")
	case errors.As(err, &noTLS):
		return fmt.Errorf("the server does not answer with TLS: %w", noTLS)
	case strings.Contains(text, "tls: certificate required"), endedAfterHandshake(c, err):
		return errors.New("the server ended the connection after the TLS handshake; does it want a client certificate (nats.tls.cert_file, nats.tls.key_file)?")
	case errors.As(err, &alert), strings.Contains(text, "remote error: tls"):
		return fmt.Errorf("the server refuses the TLS handshake; does it want a client certificate (nats.tls.cert_file, nats.tls.key_file)? %w", Inner(err))
	case errors.Is(err, nats.ErrSecureConnWanted):
		return errors.New("the server offers no TLS, and nats.tls or the address asks for it")
	case strings.Contains(text, "authorization"), strings.Contains(text, "authentication"), strings.Contains(text, "user jwt"):
		return fmt.Errorf("the server refuses the credentials; look at nats.user_file and nats.password_file, nats.creds_file, nats.nkey_file or the user in nats.url: %w", Inner(err))
	case strings.Contains(text, "info not received"), strings.Contains(text, "invalid character"):
		return fmt.Errorf("what answers there is no NATS server, or that is not its port for clients: it did not introduce itself: %w", Inner(err))
	case errors.Is(err, nats.ErrMixingWebsocketSchemes):
		return errMixed
	case errors.As(err, &timeout) && timeout.Timeout() && dialing:
		return fmt.Errorf("the dial was not answered within %s", c.dialTimeout())
	case c.TLS.HandshakeFirst && (errors.Is(err, io.EOF) || errors.As(err, &timeout) && timeout.Timeout()):
		return fmt.Errorf("the server took the connection and did not answer the TLS handshake; should nats.tls.handshake_first be false? %w", Inner(err))
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the server took the connection and did not introduce itself; if it expects TLS first, set nats.tls.handshake_first to true; "+
			"is it a NATS server, and its port for clients? %w", Inner(err))
	case errors.Is(err, io.EOF), cutOff(err):
		return fmt.Errorf("the server ended the connection and did not introduce itself, or did not say why; if it expects TLS first, set nats.tls.handshake_first to true: %w", Inner(err))
	}
	return Inner(err)
}

// endedAfterHandshake says whether a server has ended a connection that it might want a client certificate for. It says so in an alert
// after the handshake. A client that writes before it has read the alert finds only that the connection has ended.
func endedAfterHandshake(c Config, err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "write" && cutOff(err) && c.TLS.CertFile == "" && (c.TLS.CAFile != "" || strings.Contains(c.URL, "tls://"))
}

// Inner is an error without the addresses of its connection.
func Inner(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}
