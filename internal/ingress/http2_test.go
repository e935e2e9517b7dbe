package ingress_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
)

// Types of frames of HTTP/2, and their flags (RFC 9113, section 6).
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameWindow = 0, 1, 3, 4, 6, 8

	endStream, endHeaders, ack = 1, 4, 1
)

// frame is one frame of HTTP/2.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     string
}

// framed is a connection of HTTP/2 that is written frame by frame: a client library would keep to the limits.
type framed struct {
	net.Conn
	t testing.TB
}

// serveTLS runs a server and returns its address.
func serveTLS(t testing.TB, cfg ingress.Config, store ingress.Store) (address string) {
	t.Helper()
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	certificates := lender.TLS.Certificates
	lender.Close()
	s, _ := newServer(t, cfg, store)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l, &tls.Config{Certificates: certificates}, grace) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dialFramed connects and starts HTTP/2.
func dialFramed(t testing.TB, address string) *framed {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &framed{tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}), t}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.send(frame{kind: frameSettings})
	return c
}

// send reports whether the server has read the whole frame; it may hang up in between.
func (c *framed) send(f frame) bool {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(f.payload))<<8|uint32(f.kind))
	head = binary.BigEndian.AppendUint32(append(head, f.flags), f.stream)
	_, err := c.Write(append(head, f.payload...))
	return err == nil
}

// next reads a frame, and reports whether the connection is still open.
func (c *framed) next() (f frame, ok bool) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(c, head); err != nil {
		return frame{}, false
	}
	payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c, payload); err != nil {
		return frame{}, false
	}
	return frame{head[3], head[4], binary.BigEndian.Uint32(head[5:]), string(payload)}, true
}

// until reads frames until one is of this type.
func (c *framed) until(kind byte) frame {
	c.t.Helper()
	for {
		f, ok := c.next()
		if !ok {
			c.t.Fatalf("the connection ended before a frame of type %d", kind)
		}
		if f.kind == kind && (kind != frameSettings || f.flags&ack == 0) {
			return f
		}
	}
}

// fields is a header block without compression. All names and values are shorter than 127 bytes.
func fields(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteByte(0)
		for _, text := range pairs[i : i+2] {
			b.WriteByte(byte(len(text)))
			b.WriteString(text)
		}
	}
	return b.String()
}

func requestFields(method string, more ...string) string {
	return fields(append([]string{":method", method, ":scheme", "https", ":path", "/webhooks/acme", ":authority", "bridge"}, more...)...)
}

// TestHTTP2Settings: the client learns the memory limits of a connection.
func TestHTTP2Settings(t *testing.T) {
	t.Parallel()
	c := dialFramed(t, serveTLS(t, config(), &memoryStore{}))
	settings := map[uint16]uint32{}
	for text := c.until(frameSettings).payload; len(text) >= 6; text = text[6:] {
		settings[binary.BigEndian.Uint16([]byte(text))] = binary.BigEndian.Uint32([]byte(text[2:]))
	}
	delete(settings, 6) // the size of headers, which http.Server has a field for
	// The table of compressed headers, streams at once, the window of a stream, the size of a frame.
	if want := map[uint16]uint32{1: 4 << 10, 3: 32, 4: 64 << 10, 5: 16 << 10}; !maps.Equal(settings, want) {
		t.Errorf("the settings are %v, want %v", settings, want)
	}
	window := c.until(frameWindow)
	if n := binary.BigEndian.Uint32([]byte(window.payload)) + 65_535; window.stream != 0 || n != 128<<10 {
		t.Errorf("the window of the connection is %d", n)
	}
}

// TestHTTP2Streams: a client that opens more concurrent streams than allowed gets no answer for the excess ones.
func TestHTTP2Streams(t *testing.T) {
	t.Parallel()
	const most, tries = 32, 40
	release, entered := make(chan struct{}), make(chan struct{}, tries)
	cfg := config()
	cfg.MaxInFlight, cfg.StoreTimeout = 4*tries, 30*time.Second
	c := dialFramed(t, serveTLS(t, cfg, &memoryStore{publish: func(context.Context) error {
		entered <- struct{}{}
		<-release
		return nil
	}}))
	c.until(frameSettings)
	c.send(frame{kind: frameSettings, flags: ack})
	for i := range uint32(tries) {
		stream := 2*i + 1
		c.send(frame{frameHeaders, endHeaders, stream, requestFields("POST", "x-bridge-key", oldSecret)})
		c.send(frame{frameData, endStream, stream, good})
	}
	refused := map[uint32]bool{}
	for len(refused) < tries-most {
		refused[c.until(frameReset).stream] = true
	}
	for range most {
		<-entered
	}
	close(release)
	for range most {
		if f := c.until(frameHeaders); refused[f.stream] {
			t.Errorf("stream %d was refused and served", f.stream)
		}
	}
	if len(entered) > 0 {
		t.Errorf("%d more than %d were served", len(entered), most)
	}
}

// TestHTTP2Flood: a stranger that sends request after request on one connection gets some answers and is then cut off.
func TestHTTP2Flood(t *testing.T) {
	t.Parallel()
	c := dialFramed(t, serveTLS(t, config(), &memoryStore{}))
	answers := 0
	for stream := uint32(1); stream < 200 && c.send(frame{frameHeaders, endHeaders | endStream, stream, requestFields("GET")}); stream += 2 {
		f, ok := c.next()
		for ok && f.kind != frameHeaders {
			f, ok = c.next()
		}
		if !ok {
			break
		}
		answers++
	}
	if answers < 2 || answers > 32 {
		t.Errorf("there were %d answers", answers)
	}
}

// TestFlood: the same in HTTP/1.1, where requests are sent without waiting for answers.
func TestFlood(t *testing.T) {
	t.Parallel()
	serve(t, &memoryStore{}, func(h *memoryListener) {
		c := h.dial()
		go c.say(strings.Repeat("GET /webhooks/acme HTTP/1.1\r\nHost: x\r\n\r\n", 1000))
		for range 16 {
			c.want(http.StatusNoContent)
		}
		c.wantHungUp()
		synctest.Wait()
	})
}
