package hostile

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// answer is what a sender of webhooks sees.
type answer struct {
	status int // 0 without an answer
	body   string
	took   time.Duration
	err    error
}

// webhook is one delivery.
type webhook struct {
	cloud  string
	node   int               // which bridge it goes to
	secret string            // the cloud's own if empty
	body   string            // one of ours, with an id that the books remember, if empty
	header map[string]string // further headers
	client *http.Client      // the victim's, from 127.0.0.1, if nil; see stranger
}

var neighbour = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
	MaxIdleConnsPerHost: 4, ForceAttemptHTTP2: true, TLSClientConfig: anyCertificate,
}}

// anyCertificate takes the bridge's, which the row has made.
var anyCertificate = &tls.Config{InsecureSkipVerify: true}

// post delivers a webhook. What is answered 2xx is remembered, and aftermath looks for it in the stream.
func (w *world) post(h webhook) answer {
	id := ""
	if h.body == "" {
		id = uuid.NewString()
		h.body = fmt.Sprintf(`{"id":%q,"action":"TaskStateChanged","context":{"entityId":%q,"title":"Prüfung"}}`, id, uuid.NewString())
	}
	if h.secret == "" {
		h.secret = secretOf(h.cloud)
	}
	if h.client == nil {
		h.client = neighbour
	}
	began := time.Now()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.webhookURL(h.node)+"/webhooks/"+h.cloud, strings.NewReader(h.body))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("X-Bridge-Key", h.secret)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range h.header {
		req.Header.Set(name, value)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return answer{took: time.Since(began), err: err}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body) // the status says it
	if resp.StatusCode/100 == 2 && id != "" {
		w.books.promise(h.cloud, id)
	}
	return answer{resp.StatusCode, string(text), time.Since(began), nil}
}

// from dials from an address of the loopback network: 127.0.0.2 for 2, so that limits by address tell the attacker from the
// victim, who is 127.0.0.1.
func from(n int) *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(n>>8), byte(n))}}
}

// stranger is a client at another address than the victim's.
func (w *world) stranger(n int) *http.Client {
	t := &http.Transport{DialContext: from(n).DialContext, MaxIdleConnsPerHost: 100}
	w.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Timeout: 20 * time.Second, Transport: t}
}

// dial opens a raw connection to the webhook port from an address of the loopback network. It ends with the row.
func (w *world) dial(node, address int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	c, err := from(address).DialContext(ctx, "tcp", w.bridges[node].http)
	if err != nil {
		return nil, fmt.Errorf("dial the bridge: %w", err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c, nil
}
