package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// slowListener has nothing read from new connections before they are released, so that a TLS handshake takes that long.
type slowListener struct {
	net.Listener
	reached chan struct{}
	release <-chan struct{}
}

type slowConn struct {
	net.Conn
	l *slowListener
}

func (l *slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return slowConn{c, l}, err
}

func (c slowConn) Read(p []byte) (int, error) {
	select {
	case c.l.reached <- struct{}{}:
	default:
	}
	<-c.l.release
	return c.Conn.Read(p)
}

var errGone = errors.New("it is gone")

// TestCheckedAtTheFirstByte: a call that may not be made any more when its connection is there is not made, whether the connection was
// made for it or kept, and counts as never sent.
func TestCheckedAtTheFirstByte(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			slow := &slowListener{reached: make(chan struct{}, 1), release: release}
			var served atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
			slow.Listener, server.Listener, server.EnableHTTP2 = server.Listener, slow, http2
			server.StartTLS()
			t.Cleanup(server.Close)
			way := newConnections()
			roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:errcheck // it is one
			way.kept.TLSClientConfig = &tls.Config{RootCAs: roots}
			t.Cleanup(way.kept.CloseIdleConnections)
			client := NewClient(way, nil)
			var gone atomic.Bool
			call := func() (*Call, error) {
				c := &Call{May: func() error {
					if gone.Load() {
						return errGone
					}
					return nil
				}}
				req, err := http.NewRequestWithContext(With(t.Context(), c), http.MethodPost, server.URL, strings.NewReader(`{}`))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err == nil {
					err = resp.Body.Close()
				}
				return c, err
			}
			barred := func(what string) {
				t.Helper()
				before := served.Load()
				c, err := call()
				if !errors.Is(err, errGone) || !errors.Is(c.Barred(), errGone) || c.Sent() || served.Load() != before {
					t.Errorf("%s: %v, sent: %t, %d were served", what, err, c.Sent(), served.Load()-before)
				}
			}
			go func() { // the process stands still during the handshake
				natstest.Receive(t, slow.reached)
				gone.Store(true)
				close(release)
			}()
			barred("on a new connection")
			gone.Store(false)
			if c, err := call(); err != nil || !c.Sent() || served.Load() != 1 {
				t.Fatalf("an allowed call: %v, %d served", err, served.Load())
			}
			gone.Store(true)
			barred("on a kept connection")
			gone.Store(false)
			if _, err := call(); err != nil || served.Load() != 2 {
				t.Errorf("an allowed call after that: %v, %d served", err, served.Load())
			}
		})
	}
}
