package main

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

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// hook sends webhooks as factro would.
type hook struct {
	client         *http.Client
	url            string
	header, secret string
	// wantsCert says that the bridge takes webhooks only of those who have a client's certificate.
	wantsCert bool
}

// newHook makes the sender of a cloud's webhooks, with the first of its secrets.
func newHook(cfg config.Config, cloud config.Cloud, to string) (*hook, error) {
	if len(cloud.Webhook.Secrets) == 0 || cloud.Webhook.Header == "" {
		return nil, usage("clouds: %s has no webhook.header or no webhook.secrets; take a configuration of the role ingress", cloud.Name)
	}
	value, err := secret.NewReader(cloud.Webhook.Secrets[0], nil, "").Get()
	if err != nil {
		return nil, usage("clouds: the first secret of %s: %w", cloud.Name, err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	h := &hook{url: to, header: cloud.Webhook.Header, secret: value.Reveal(), client: &http.Client{
		Transport: transport,
		// The secret is for this address alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if to != "" {
		if u, err := url.Parse(to); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, usage("--webhook-url: %q is no URL of the form https://<host>/webhooks/%s", secret.Address(to), cloud.Name)
		}
		transport.Proxy = http.ProxyFromEnvironment // not for this machine
		return h, nil
	}
	address, err := local(cfg.HTTP.Listen)
	if err != nil {
		return nil, usage("http.listen: %w", err)
	}
	h.url = "http://" + address + "/webhooks/" + cloud.Name
	if cfg.HTTP.TLS.CertFile != "" {
		h.url = strings.Replace(h.url, "http:", "https:", 1)
		if transport.TLSClientConfig, err = pinned(cfg.HTTP.TLS.CertFile); err != nil {
			return nil, &exitError{exitUsage, err}
		}
		h.wantsCert = cfg.HTTP.TLS.ClientCAFile != ""
	}
	return h, nil
}

// address is the URL without what may stand in it to prove oneself.
func (h *hook) address() string {
	u, err := url.Parse(h.url)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// pinned trusts the server's own certificate, under whatever name it has: by http.listen it is reached by none of its names.
func pinned(file string) (*tls.Config, error) {
	roots, err := lastgood.NewRoots(nil, "", file).Get()
	if err != nil {
		return nil, fmt.Errorf("http.tls.cert_file: %w", err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // the name is what cannot be checked; the certificate is, below
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots})
			return err
		},
	}, nil
}

// send sends one webhook about an entity that does not exist, and returns the status of the answer. The error says what to look at.
func (h *hook) send(ctx context.Context, entity string) (int, error) {
	body, err := json.Marshal(map[string]any{"action": events.ActionCanary, "context": map[string]string{"entityId": entity}})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(h.header, h.secret)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	resp, err := h.client.Do(req)
	if err != nil {
		if whole, ok := errors.AsType[*url.Error](err); ok {
			err = whole.Err // it begins with the whole address
		}
		err = fmt.Errorf("the webhook was not answered: %w", err)
		if h.wantsCert {
			err = errors.Join(err, errors.New("http.tls.client_ca_file: the bridge demands a certificate, and the canary has none; "+
				"give the address of the proxy that has one with --webhook-url"))
		}
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusAccepted {
		return resp.StatusCode, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))              // it is there for people only
	text = bytes.ReplaceAll(text, []byte(h.secret), []byte("[hidden]")) // a stranger may say what it was told
	err = fmt.Errorf("the webhook was answered with %s: %s", resp.Status, oneLine(bytes.TrimSpace(text)))
	if why := refusals[resp.StatusCode]; why != "" {
		err = errors.Join(err, errors.New(why))
	}
	return resp.StatusCode, err
}

// refusals say what to look at.
var refusals = map[int]string{
	http.StatusUnauthorized:       "look at webhook.header and the first of webhook.secrets: is this the configuration of the bridge that answers there?",
	http.StatusForbidden:          "something before the bridge refuses it: look at the proxy",
	http.StatusNotFound:           "look at the path and the name of the cloud; a proxy may change the path",
	http.StatusNoContent:          "the body did not arrive: something before the bridge drops it",
	http.StatusTooManyRequests:    "too many wrong secrets came from this address, and this one is wrong too",
	http.StatusBadGateway:         "the proxy does not reach the bridge",
	http.StatusServiceUnavailable: "nothing stores it: look at /readyz of the bridge, at NATS and at the spool",
	http.StatusGatewayTimeout:     "the proxy does not reach the bridge",
}
