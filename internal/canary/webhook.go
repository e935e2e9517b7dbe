package canary

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Webhook says where and how a bridge accepts webhooks.
type Webhook struct {
	URL    string
	Header string
	Secret secret.String
	// CertFile is the server's own certificate, for an address that is none of its names. "" trusts the usual authorities.
	CertFile string
	// WantsCert says that the bridge accepts webhooks only from clients with a certificate.
	WantsCert bool
	// Proxy says that the usual proxy variables apply. They do not for an address on this machine.
	Proxy bool
}

// sender sends webhooks as factro would.
type sender struct {
	Webhook
	client *http.Client
}

func newSender(w Webhook) (*sender, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if w.Proxy {
		transport.Proxy = http.ProxyFromEnvironment
	}
	if w.CertFile != "" {
		var err error
		if transport.TLSClientConfig, err = pinned(w.CertFile); err != nil {
			return nil, err
		}
	}
	return &sender{Webhook: w, client: &http.Client{
		Transport: transport,
		// The secret is for this address alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// address is the URL without credentials.
func (s *sender) address() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// pinned trusts the server's own certificate, whatever its names are: the address in http.listen is none of them.
func pinned(file string) (*tls.Config, error) {
	roots, err := lastgood.NewRoots(nil, "", file).Get()
	if err != nil {
		return nil, fmt.Errorf("http.tls.cert_file: %w", err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // the name cannot be checked; the certificate is, below
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots})
			return err
		},
	}, nil
}

// send sends one webhook about an entity that does not exist, and returns the status of the answer. The error says what to check.
func (s *sender) send(ctx context.Context, entity string) (int, error) {
	body, err := json.Marshal(map[string]any{"action": events.ActionCanary, "context": map[string]string{"entityId": entity}})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(s.Header, s.Secret.Reveal())
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	resp, err := s.client.Do(req)
	if err != nil {
		if whole, ok := errors.AsType[*url.Error](err); ok {
			err = whole.Err // the outer error begins with the complete address
		}
		err = fmt.Errorf("the webhook was not answered: %w", err)
		if s.WantsCert {
			err = errors.Join(err, errors.New("http.tls.client_ca_file: the bridge requires a client certificate, and the canary has none; "+
				"use --webhook-url with the address of the proxy that has one"))
		}
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusAccepted {
		return resp.StatusCode, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))                       // only people read it
	text = bytes.ReplaceAll(text, []byte(s.Secret.Reveal()), []byte("[hidden]")) // the server may repeat what it received
	err = fmt.Errorf("the webhook was answered with %s: %s", resp.Status, excerpt(text))
	if why := refusalHints[resp.StatusCode]; why != "" {
		err = errors.Join(err, errors.New(why))
	}
	return resp.StatusCode, err
}

// excerpt is the beginning of a text, on one line.
func excerpt(text []byte) string {
	const most = 400
	words := strings.Join(strings.Fields(string(text)), " ")
	if len(words) > most {
		words = strings.ToValidUTF8(words[:most], "") + "…"
	}
	return words
}

// refusalHints say what to check.
var refusalHints = map[int]string{
	http.StatusUnauthorized:       "check webhook.header and the first of webhook.secrets: is this the configuration of the bridge at that address?",
	http.StatusForbidden:          "something in front of the bridge refuses it: check the proxy",
	http.StatusNotFound:           "check the path and the name of the cloud; a proxy may change the path",
	http.StatusNoContent:          "the body did not arrive: something in front of the bridge drops it",
	http.StatusTooManyRequests:    "too many wrong secrets came from this address, and this one is wrong too",
	http.StatusBadGateway:         "the proxy does not reach the bridge",
	http.StatusServiceUnavailable: "nothing stores it: check /readyz of the bridge, NATS and the spool",
	http.StatusGatewayTimeout:     "the proxy does not reach the bridge",
}
